package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
)

// Values of --labels that are no files.
const (
	labelsAuto    = "auto"
	labelsNumbers = "numbers"
)

// evaluation is what evaluate prints.
type evaluation struct {
	File   string `json:"file"`
	Labels string `json:"labels"` // how classes were matched with scores: "numbers", "names in the model" or a file
	Images int    `json:"images"`
	*result.Metrics
}

type evaluateFlags struct {
	modelFlags
	dataset, split            string
	limit, batch, latencyRuns int
	json, skipBad             bool
}

func newEvaluateCommand(a *app) *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate MODEL",
		Short: "Measure any ONNX classifier on a data set",
		Long: strings.TrimSpace(`
Measures an ONNX classifier, made by plateau or not, on images of a data set: top-1 and top-5 accuracy, loss, latency of
a single image, throughput in batches, parameters and multiply-adds.

The data set is KIND:PATH. The kinds: mnist (also called idx; the folder with the four files of MNIST and its family),
cifar10 and cifar100 (the folder or .tar.gz of the binary version), folder (one folder of images a class, or train and
test with one folder a class in each).

A model takes its own numbers for a pixel. One that plateau has exported says which; of others it must be said: --scale is the
number for the brightest pixel (255 for pixels as they are, 1 for 0 to 1), and --mean and --std, one number or one a channel
in the model's order, come after it: (pixel / 255 * scale - mean) / std. With --mean or --std alone the scale is 1.

Scores are compared with the data set's classes by number, or by name where the model brings names in its metadata or
--labels names a file with them: one name a line in the order of the scores, or JSON. The model may have more classes than the
data set. Whether scores are logits or probabilities is seen from the numbers, unless --scores or the metadata say it.`),
		Example: strings.Trim(`
  plateau evaluate model.onnx --dataset mnist:data/mnist --scale 255 --json
  plateau evaluate runs/quickstart/export/model.onnx --dataset folder:pictures
  plateau evaluate resnet50.onnx --dataset folder:flowers --labels imagenet.txt --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --center 0.875
  plateau evaluate mobilenet.onnx --dataset cifar10:cifar-10-binary.tar.gz --layout nhwc --scale 2 --mean 1 --size 96`, "\n"),
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := a.evaluate(cmd.Context(), args[0], f, cmd.Flags().Changed)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(a.stdout, out)
			}
			return writeAll(a.stdout, out.text())
		},
	}
	f.add(cmd, "height and width that images are brought to; 0 for their own, and of a folder for the model's",
		"how scores are matched with classes: a file of the model's class names, numbers, or auto (by names in the model, else numbers)")
	s := cmd.Flags()
	s.StringVar(&f.dataset, "dataset", "", "images to measure on, KIND:PATH: mnist, idx, cifar10, cifar100 or folder, and where it is")
	s.StringVar(&f.split, "split", "", "images of the data set: test, train or all (default test; all of a folder that is not divided)")
	s.BoolVar(&f.skipBad, "skip-bad", false, "leave pictures of a folder out that cannot be read, and list them; otherwise they stop the measurement")
	s.IntVar(&f.limit, "limit", 0, "largest number of images, drawn with equal classes; 0 for all")
	s.IntVar(&f.batch, "batch", 64, "images a run; a model with a fixed batch keeps its own")
	s.IntVar(&f.latencyRuns, "latency-runs", 200, "runs with a single image that are timed; 0 measures no latency")
	s.BoolVar(&f.json, "json", false, "print one JSON object")
	_ = cmd.RegisterFlagCompletionFunc("split", cobra.FixedCompletions([]string{dataset.SplitTest, dataset.SplitTrain, dataset.SplitAll}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// sourceOf reads KIND:PATH.
func sourceOf(text string) (source, path string, err error) {
	kinds := map[string]string{
		"mnist": dataset.SourceIDX, "idx": dataset.SourceIDX, "cifar10": dataset.SourceCIFAR10, "cifar100": dataset.SourceCIFAR100, "folder": dataset.SourceFolder,
	}
	names := []string{"mnist", "idx", "cifar10", "cifar100", "folder"}
	kind, path, ok := strings.Cut(text, ":")
	switch {
	case text == "":
		return "", "", usagef("--dataset is missing: on which images? For example --dataset folder:pictures")
	case !ok || path == "":
		return "", "", usagef("--dataset %s: want KIND:PATH, such as folder:pictures; the kinds are %s", text, strings.Join(names, ", "))
	case kinds[kind] == "":
		return "", "", usagef("--dataset %s: there is no kind %q; %s", text, kind, pipeline.Suggest(kind, "kinds", names))
	}
	if _, err := os.Stat(path); err != nil {
		return "", "", usagef("--dataset %s: %v", text, err)
	}
	return kinds[kind], path, nil
}

func (a *app) evaluate(ctx context.Context, model string, f evaluateFlags, given func(flag string) bool) (*evaluation, error) {
	source, path, err := sourceOf(f.dataset)
	if err != nil {
		return nil, err
	}
	o, err := f.options(given)
	if err != nil {
		return nil, err
	}
	about, err := evaluate.Read(model)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no file %s", model)
	} else if err != nil {
		return nil, err
	}
	shown := dataset.View{Size: f.size, Center: f.center, Stored: f.ignoreEXIF}
	if source == dataset.SourceFolder {
		own, err := about.View(o.Layout)
		if err != nil {
			return nil, err
		}
		if f.size == 0 {
			shown.Size = own.Size
		}
		if !given("center") {
			shown.Center = own.Center
		}
		if !given("ignore-exif") {
			shown.Stored = own.Stored
		}
	}
	data, err := dataset.ReadSplit(ctx, dataset.SplitOptions{Source: source, Path: path, Split: f.split, Size: shown.Size, Center: shown.Center, IgnoreEXIF: shown.Stored, Limit: f.limit, SkipBad: f.skipBad})
	if err != nil {
		return nil, err
	}
	if data.Note != "" {
		a.say("%s", data.Note)
	}
	out := &evaluation{File: model}
	if o.ClassMap, out.Labels, err = a.classMap(&f, source, about, data.Classes); err != nil {
		return nil, err
	}
	o.Split, o.Dataset, o.Warn = data.Split, data.Name, func(format string, args ...any) { a.say("warning: "+format, args...) }
	if own := about.Metadata[evaluate.KeyInput]; own != "" && o.Input == evaluate.InputCustom {
		a.say("warning: the model says that it takes %s; --scale, --mean and --std are used in place of that", own)
	}
	rt, err := a.openRuntime(ctx)
	if err != nil {
		return nil, err
	}
	if term.IsTerminal(int(a.stderr.Fd())) {
		o.Progress = func(done, total int) { fmt.Fprintf(a.stderr, "\r%d of %d images", done, total) }
		defer fmt.Fprintln(a.stderr)
	}
	out.Metrics, err = evaluate.Model(ctx, rt, model, data.Images, data.Classes, o)
	if errors.Is(err, evaluate.ErrInputUnknown) {
		return nil, usagef("evaluate %s: %w; give --scale 255 for pixels as they are, --scale 1 for 0 to 1, and --mean and --std if they are normalized", model, evaluate.ErrInputUnknown)
	}
	if err != nil {
		return nil, err
	}
	out.Images = out.Count
	return out, nil
}

// options turns flags into those of a measurement.
func (f *evaluateFlags) options(given func(flag string) bool) (evaluate.Options, error) {
	o := evaluate.DefaultOptions()
	o.Batch, o.LatencyRuns, o.LatencyWarmUp = f.batch, f.latencyRuns, 10
	o.Layout, o.Channels, o.Scores, o.Output = evaluate.Layout(f.layout), evaluate.Channels(f.channels), evaluate.Scores(f.scores), f.output
	if given("scale") || given("mean") || given("std") {
		o.Input, o.Scale, o.Mean, o.Std = evaluate.InputCustom, f.scale/255, f.mean, f.std
	}
	err := o.Validate()
	switch {
	case err != nil:
		return o, &usageError{err}
	case f.limit < 0:
		return o, usagef("--limit %d: want the largest number of images, or 0 for all", f.limit)
	}
	return o, f.check()
}

// classMap finds the score of each class, and says how. It is nil when the scores are those of the classes.
func (a *app) classMap(f *evaluateFlags, source string, about *evaluate.About, classes []string) (scores []int, how string, err error) {
	names, how := evaluate.ModelClasses(about.Metadata), "names in the model"
	switch f.labels {
	case labelsNumbers:
		scores = make([]int, len(classes))
		for i := range scores {
			scores[i] = i
		}
		return scores, labelsNumbers, nil
	case labelsAuto:
		if names == nil {
			if source != dataset.SourceFolder { // whose order is part of the data set
				return nil, labelsNumbers, nil
			}
			scores, note := evaluate.OrderClasses(classes, about.Scores)
			if note != "" {
				a.say("warning: %s", note)
			}
			return scores, labelsNumbers, nil
		}
	default:
		if names, err = evaluate.ReadClasses(f.labels); err != nil {
			return nil, "", &usageError{fmt.Errorf("--labels: %w", err)}
		}
		how = f.labels
	}
	if slices.Equal(names, classes) {
		return nil, how, nil
	}
	if scores, err = evaluate.MatchClasses(names, classes); err != nil {
		return nil, "", usagef("matching the data set's classes with %s: %w\ngive --labels a file with the model's class names as the data set calls them, or --labels numbers to compare them by number", how, err)
	}
	return scores, how, nil
}

// text is the result for people.
func (e *evaluation) text() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-15s"+format+"\n", append([]any{name}, args...)...)
	}
	split := e.Split + " "
	if e.Split == dataset.SplitAll {
		split = ""
	}
	fmt.Fprintf(&b, "%s on %d %simages of %s (classes by %s)\n\n", filepath.Base(e.File), e.Count, split, e.Dataset, e.Labels)
	interval := evaluate.Interval(e.Metrics)
	row("top-1", "%.2f%% (95%% interval %.1f to %.1f)", 100*e.Top1, 100*interval.Low, 100*interval.High)
	if b := e.Balanced; b.Unequal() {
		row("balanced", "%.2f%% (95%% interval %.1f to %.1f), the mean over classes; always saying %s is right for %.1f%%", 100*b.Top1, 100*b.Low, 100*b.High, b.Largest, 100*b.Share)
	}
	row("top-5", "%.2f%%", 100*e.Top5)
	from := map[string]string{"settings": "as --scores says", "metadata": "as the model says", "numbers": "as its numbers look"}[e.ScoresFrom]
	row("loss", "%.4f (scores are %s, %s)", e.Loss, e.Scores, from)
	if l := e.Latency; l != nil {
		row("latency", "p50 %.3g, p90 %.3g, p99 %.3g ms for one image", l.P50, l.P90, l.P99)
	}
	if t := e.Throughput; t != nil {
		row("throughput", "%.0f images a second in batches of %d", t.ImagesPerSecond, t.Batch)
	}
	if e.Parameters > 0 {
		row("parameters", "%s", strconv.FormatInt(e.Parameters, 10))
		row("multiply-adds", "%s", strconv.FormatInt(e.MultiplyAdds, 10))
	}
	row("file", "%s", formatBytes(e.SizeBytes))
	row("computed by", "ONNX Runtime %s, %s, %d threads", e.Library, e.Provider, e.Threads)
	return b.String()
}
