package cmd

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// initDocument is the document that init writes, a template of proposal.
//
//go:embed init.yaml.tmpl
var initDocument string

type initFlags struct {
	output, name string
	force, json  bool
}

// proposal is what init found and proposes.
type proposal struct {
	File         string   `json:"file"`
	Name         string   `json:"name"`
	Path         string   `json:"path"` // of the images, absolute
	Images       int      `json:"images"`
	TestImages   int      `json:"test_images"` // of Images, in a folder of their own
	Classes      []string `json:"classes"`
	Fewest       int      `json:"fewest"`        // training images of a class
	FewestClass  string   `json:"fewest_class"`  // which one
	Side         int      `json:"side"`          // the median short side of the pictures in pixels
	Size         int      `json:"size"`          // of the network's images
	SearchSize   int      `json:"search_size"`   // of the search's
	Batch        int      `json:"batch"`         // images
	SearchImages int      `json:"search_images"` // training images that architectures are scored on
	Train        int      `json:"train_epochs"`  // epochs of the winner
	note         string
	enough       int
}

func newInitCommand(a *app) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a document for a folder of your own images",
		Long: strings.TrimSpace(`
Looks at a folder of images, one folder a class (DIR/cat/1.jpg, DIR/dog/1.jpg) or divided into train and test with one folder a
class in each, and writes a commented document that finds an architecture for them, trains it and exports it. The size
of the images and the epochs are proposed from what is there; the document says why, and everything in it may be changed.`),
		Example: "  plateau init flowers\n  plateau init flowers -o mine.yaml --name first",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.init(cmd.Context(), args[0], f)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(a.stdout, p)
			}
			return writeAll(a.stdout, p.text())
		},
	}
	s := cmd.Flags()
	s.StringVarP(&f.output, "output", "o", "", "the file to write (default NAME.yaml)")
	s.StringVar(&f.name, "name", "", "name of the document (default the folder's)")
	s.BoolVar(&f.force, "force", false, "replace a file that is there")
	s.BoolVar(&f.json, "json", false, "print what was found and proposed as one JSON object")
	return cmd
}

func (a *app) init(ctx context.Context, dir string, f initFlags) (*proposal, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, usagef("%v; give the folder that holds one folder of images a class", err)
	case !info.IsDir():
		return nil, usagef("%s is a file; give the folder that holds one folder of images a class", dir)
	}
	folder, err := dataset.Survey(ctx, dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &usageError{err}
	}
	p := propose(folder)
	if p.Path, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("finding the path of %s: %w", dir, err)
	}
	p.Name, p.File = f.name, f.output
	if p.Name == "" {
		p.Name = nameOf(filepath.Base(p.Path))
	} else if p.Name != nameOf(p.Name) {
		return nil, usagef("--name %s: want letters, digits, - and _, such as %s", p.Name, nameOf(p.Name))
	}
	if p.File == "" {
		p.File = p.Name + ".yaml"
	}
	if _, err := os.Lstat(p.File); err == nil && !f.force {
		return nil, usagef("%s is there already; give another -o, or --force to replace it", p.File)
	}
	t, err := template.New("init").Parse(initDocument)
	if err != nil {
		return nil, fmt.Errorf("reading the template of documents: %w", err)
	}
	var text strings.Builder
	if err := t.Execute(&text, p); err != nil {
		return nil, fmt.Errorf("writing the document: %w", err)
	}
	if err := atomicfile.WriteBytes(p.File, []byte(text.String())); err != nil {
		return nil, err
	}
	if p.note != "" {
		a.say("%s", p.note)
	}
	if p.Fewest < p.enough {
		a.say("warning: the class %q has %d images; %d a class are the least for training, validation and test", p.FewestClass, p.Fewest, p.enough)
	}
	return p, nil
}

const (
	// How many steps of training the winner gets, as far as the epochs stay between their bounds. With the shipped document images and a
	// few hundred pictures there are fewer.
	initTrainSteps = 3000
	// On how many images the search scores architectures, if there are so many.
	initSearchImages = 32
)

// propose chooses sizes and epochs for what a folder holds.
func propose(folder *dataset.Folder) *proposal {
	sum := func(counts []int) (n int) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	train := sum(folder.Train)
	p := &proposal{
		Images: train + sum(folder.Test), TestImages: sum(folder.Test), Classes: folder.Classes, Side: folder.Side, Fewest: slices.Min(folder.Train),
		Size: 32, SearchSize: 16, Batch: 32, note: folder.Note, enough: folder.Enough(0),
	}
	p.FewestClass = folder.Classes[slices.Index(folder.Train, p.Fewest)]
	if folder.Test == nil {
		train = train * 4 / 5
	}
	if p.Side < p.Size { // nothing is gained by enlarging; a multiple of 4 is halved twice
		p.Size = max(p.Side/4*4, 16)
	}
	if train >= 2000 {
		p.Batch = 64
	}
	epochs := func(steps, images, least, most int) int {
		return min(max(steps*p.Batch/max(images, 1), least), most)
	}
	p.SearchImages = max(min(initSearchImages, train), 2)
	p.Train = epochs(initTrainSteps, train, 30, 100)
	return p
}

// Quoted is the path as YAML text.
func (p *proposal) Quoted() string { return strconv.Quote(p.Path) }

// ClassList names the classes, abridged.
func (p *proposal) ClassList() string {
	const most = 8
	names := make([]string, 0, most)
	for _, c := range p.Classes[:min(most, len(p.Classes))] {
		// A comment is one line.
		names = append(names, strings.Join(strings.Fields(c), " "))
	}
	text := strings.Join(names, ", ")
	if more := len(p.Classes) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (p *proposal) text() string {
	return fmt.Sprintf("%d images in %d classes; wrote %s\nnext:\n  plateau plan %s\n  plateau run %[4]s\n", p.Images, len(p.Classes), p.File, shellQuote(p.File))
}

var (
	notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	plainWord  = regexp.MustCompile(`^[A-Za-z0-9_./@:+-]+$`)
)

// nameOf makes the name of a document out of that of a folder.
func nameOf(folder string) string {
	name := strings.Trim(notInNames.ReplaceAllString(folder, "-"), "-")
	if name == "" || slices.Contains(configs.Names(), name) { // a shipped document would be meant by it
		name = "my-" + name
	}
	return strings.TrimRight(name, "-")
}

func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
