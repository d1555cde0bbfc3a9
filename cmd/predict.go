package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// stdinName is the picture that comes by standard input.
const stdinName = "-"

// predictBatch is how many pictures are classified at once: enough to keep the processor busy, few enough to hold in memory.
const predictBatch = 32

type predictFlags struct {
	modelFlags
	format string
	top    int
}

// predictions is what predict --format json prints.
type predictions struct {
	Model    string         `json:"model"`
	Pictures []prediction   `json:"pictures"`
	Failed   []unclassified `json:"failed"`
}

type prediction struct {
	Picture string           `json:"picture"`
	Classes []evaluate.Guess `json:"classes"` // the most probable first
}

type unclassified struct {
	Picture string `json:"picture"`
	Error   string `json:"error"`
}

func predictFormats() []string { return []string{"table", "json", "csv"} }

func newPredictCommand(a *app) *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict MODEL PICTURE...",
		Short: "Say what pictures show, by any ONNX classifier",
		Long: strings.TrimSpace(`
Classifies pictures by an ONNX classifier, made by plateau or not, and prints the most probable classes of each.

MODEL is an .onnx file, or the folder of a run or an export that holds one. A PICTURE is a file, a folder of which all pictures
are taken, also those in folders below it, or - for one that comes by standard input.

A model that plateau has exported says itself how pictures become its numbers and what its classes are called. For others the flags
say it, as for plateau evaluate: --scale is the number for the brightest pixel (255 for pixels as they are, 1 for 0 to 1), and --mean
and --std come after it: (pixel / 255 * scale - mean) / std. Of each picture the center square is shown, at the model's size.

What cannot be read is said and does not stop the rest; the exit code is 1 then.`),
		Example: strings.Trim(`
  plateau predict runs/images photo.jpg
  plateau predict runs/images/export/model.onnx photos --top 1 --format csv > classes.csv
  plateau predict model.onnx - --format json
  plateau predict resnet50.onnx cat.jpg --labels imagenet.txt --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --center 0.875`, "\n"),
		Args: cobra.MinimumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.predict(cmd.Context(), args[0], args[1:], f, cmd.Flags().Changed)
		},
	}
	f.add(cmd, "height and width that pictures are brought to; 0 for the model's",
		"the names of the classes: a file with one name a line in the order of the scores, or JSON; numbers; or auto (names in the model, else numbers)")
	s := cmd.Flags()
	s.IntVar(&f.top, "top", 3, "how many classes are printed for a picture, the most probable first; 0 for all")
	s.StringVar(&f.format, "format", "table", "how they are printed: table, json or csv")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(predictFormats(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (a *app) predict(ctx context.Context, model string, args []string, f predictFlags, given func(flag string) bool) (err error) {
	switch {
	case f.top < 0:
		return usagef("--top %d: want the number of classes to print, or 0 for all", f.top)
	case !slices.Contains(predictFormats(), f.format):
		return usagef("--format: there is no format %q; %s", f.format, pipeline.Suggest(f.format, "formats", predictFormats()))
	case slices.Index(args, stdinName) != lastIndex(args, stdinName):
		return usagef("standard input (-) is one picture, and can be named once")
	}
	c, path, err := a.openClassifier(ctx, model, f.modelFlags, given)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	out := predictions{Model: path, Pictures: []prediction{}, Failed: []unclassified{}}
	fail := func(picture string, err error) {
		err = unreadable(err)
		a.say("error: %s: %v", picture, err)
		out.Failed = append(out.Failed, unclassified{picture, err.Error()})
	}
	var pictures []string
	for _, arg := range args {
		found, err := picturesOf(ctx, arg)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			fail(arg, err)
		}
		pictures = append(pictures, found...)
	}
	progress := term.IsTerminal(int(a.stderr.Fd())) && len(pictures) > predictBatch
	for batch := range slices.Chunk(pictures, predictBatch) {
		if err := a.predictBatch(ctx, c, batch, f.top, &out, fail); err != nil {
			return err
		}
		if progress {
			fmt.Fprintf(a.stderr, "\r%d of %d pictures", len(out.Pictures)+len(out.Failed), len(pictures))
		}
	}
	if progress {
		fmt.Fprintln(a.stderr)
	}
	if err := out.print(a.stdout, f.format); err != nil {
		return err
	}
	if n := len(out.Failed); n > 0 {
		return fmt.Errorf("%d of %d pictures could not be classified; the lines above say which and why", n, n+len(out.Pictures))
	}
	return nil
}

// openClassifier opens the model that an argument means: a file, or the folder of an export or a run.
func (a *app) openClassifier(ctx context.Context, model string, f modelFlags, given func(flag string) bool) (*evaluate.Classifier, string, error) {
	o, err := f.classifier(given)
	if err != nil {
		return nil, "", err
	}
	path, err := modelFile(model)
	if err != nil {
		return nil, "", err
	}
	rt, err := a.openRuntime(ctx)
	if err != nil {
		return nil, "", err
	}
	c, err := evaluate.OpenClassifier(ctx, rt, path, o)
	switch {
	case errors.Is(err, evaluate.ErrInputUnknown):
		return nil, "", usagef("%s: %w; give --scale 255 for pixels as they are, --scale 1 for 0 to 1, and --mean and --std if they are normalized", path, evaluate.ErrInputUnknown)
	case errors.Is(err, evaluate.ErrSizeUnknown):
		return nil, "", usagef("%s: %w; give --size, the height and width in pixels that it was trained with", path, evaluate.ErrSizeUnknown)
	case err != nil:
		return nil, "", err
	}
	return c, path, nil
}

// modelFile finds the .onnx file that an argument means.
func modelFile(arg string) (string, error) {
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", usagef("there is no file %s", arg)
	case err != nil:
		return "", usagef("%v", err)
	case !info.IsDir():
		return arg, nil
	}
	for _, name := range []string{"model.onnx", filepath.Join("export", "model.onnx")} {
		if path := filepath.Join(arg, name); isFile(path) {
			return path, nil
		}
	}
	return "", usagef("the folder %s holds no model.onnx, and no folder export with one; name the .onnx file", arg)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// picturesOf returns the pictures that an argument means.
func picturesOf(ctx context.Context, arg string) ([]string, error) {
	if arg == stdinName {
		return []string{arg}, nil
	}
	info, err := os.Stat(arg)
	if err != nil || !info.IsDir() {
		return []string{arg}, nil // reading it says what is wrong
	}
	found, err := dataset.ListPictures(ctx, arg)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("the folder holds no %s pictures", dataset.FormatNames())
	}
	return found, err
}

// predictBatch reads some pictures at once and classifies those that can be read.
func (a *app) predictBatch(ctx context.Context, c *evaluate.Classifier, batch []string, top int, out *predictions, fail func(string, error)) error {
	images, errs := make([]*dataset.Images, len(batch)), make([]error, len(batch))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range batch {
		group.Go(func() error {
			var content []byte
			if name == stdinName {
				content, errs[i] = io.ReadAll(a.input())
			} else {
				content, errs[i] = os.ReadFile(name)
			}
			if errs[i] == nil {
				images[i], errs[i] = dataset.ReadPicture(content, c.View())
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are by picture
	var names []string
	var read []*dataset.Images
	for i, err := range errs {
		if err != nil {
			fail(batch[i], err)
			continue
		}
		names, read = append(names, batch[i]), append(read, images[i])
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	guesses, err := c.Images(ctx, read)
	if err != nil {
		return err
	}
	for i, g := range guesses {
		if top > 0 {
			g = g[:min(top, len(g))]
		}
		out.Pictures = append(out.Pictures, prediction{names[i], g})
	}
	return nil
}

// unreadable adds to the error about a picture how it may be mended.
func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file or folder")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("it may not be read; change its permissions")
	}
	return fmt.Errorf("%w; if a picture viewer shows it, save it from there as PNG or JPEG", err)
}

func (p *predictions) print(w io.Writer, format string) error {
	switch format {
	case "json":
		return printJSON(w, p)
	case "csv":
		t := table{head: []string{"picture", "rank", "class", "index", "probability"}}
		for _, picture := range p.Pictures {
			for i, g := range picture.Classes {
				t.add(picture.Picture, strconv.Itoa(i+1), g.Class, strconv.Itoa(g.Index), strconv.FormatFloat(g.Probability, 'f', 6, 64))
			}
		}
		return t.csv(w)
	}
	if len(p.Pictures) == 0 {
		return nil
	}
	t := table{head: []string{"picture", "class", "probability"}}
	for i := range p.Pictures[0].Classes[1:] {
		t.head = append(t.head, strconv.Itoa(i+2)+".", "")
	}
	for _, picture := range p.Pictures {
		row := []string{picture.Picture}
		for _, g := range picture.Classes {
			row = append(row, g.Class, fmt.Sprintf("%.2f%%", 100*g.Probability))
		}
		t.add(row...)
	}
	return writeAll(w, t.text(0))
}

func lastIndex(list []string, s string) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == s {
			return i
		}
	}
	return -1
}
