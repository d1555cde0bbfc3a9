package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// description is what describe prints.
type description struct {
	Space        string   `json:"space"`
	Architecture string   `json:"architecture"`
	Genotype     string   `json:"genotype,omitempty"` // the same in Python's notation, where it has one
	Operations   []string `json:"operations"`
	Class        string   `json:"class"`                   // what it computes
	ClassMembers int      `json:"class_members,omitempty"` // architectures of the space that compute it, where they can be counted
	Channels     int      `json:"channels"`
	Cells        int      `json:"cells"`            // a stage; in the DARTS space, in all
	Layers       int      `json:"layers,omitempty"` // the cells of a network of the DARTS space
	Stem         string   `json:"stem,omitempty"`
	Reduction    string   `json:"reduction,omitempty"`
	Classes      int      `json:"classes"`
	ImageSize    int      `json:"image_size"`
	Parameters   int      `json:"parameters"` // trainable; of the DARTS space, without the auxiliary head
	MultiplyAdds int64    `json:"multiply_adds"`
}

// describeFlags are the flags of describe. Those of a skeleton are 0 where they are not given.
type describeFlags struct {
	space, genotype, stem, reduction, svg       string
	channels, cells, layers, classes, imageSize int
	asJSON                                      bool
}

func newDescribeCommand(a *app) *cobra.Command {
	var o describeFlags
	cmd := &cobra.Command{
		Use:   "describe ARCHITECTURE",
		Short: "Show the size and the drawing of an architecture",
		Long: strings.TrimSpace(`
Shows how many trainable parameters and multiply-adds the stand-alone network of an architecture has in a skeleton,
draws its cells, and says what they compute: x is the input of a cell, t1 a result that is used in several places, and a term counts
as often as it comes. The defaults are the skeletons of NAS-Bench-201 and of DARTS on CIFAR-10, and with --stem imagenet
that of DARTS on ImageNet; their auxiliary head is not counted.

An architecture of the DARTS space may be a published name (` + strings.Join(space.GenotypeNames(), ", ") + `), Python's notation
"Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)", or the short one that this command prints.`),
		Example: "  plateau describe '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|'\n" +
			"  plateau describe --space darts --genotype DARTS_V2 --channels 36 --layers 20 --classes 10",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, s, arch, err := o.network(cmd.Flags().Changed, args)
			if err != nil {
				return err
			}
			d, err := describe(s.Name, n)
			if err != nil {
				return err
			}
			d.Operations, d.Class = s.OperationNames(arch), s.Class(arch)
			computes := "computes " + d.Class
			if members := s.CountMembers(d.Class); members != nil {
				d.ClassMembers = members[0]
				computes += fmt.Sprintf("\narchitectures of the space that compute it: %d of %d", d.ClassMembers, s.Size())
			}
			unit := "cells a stage"
			if s.Pairs {
				g, err := space.GenotypeOf(arch)
				if err != nil {
					return err
				}
				d.Genotype, d.Layers, unit = g.String(), n.Cells, "layers"
			}
			d.Stem, d.Reduction = string(n.Stem), string(n.Reduction)
			if o.svg != "" {
				if err := atomicfile.WriteBytes(o.svg, []byte(draw.SVG(s, arch)+"\n")); err != nil {
					return fmt.Errorf("writing the drawing: %w", err)
				}
			}
			if o.asJSON {
				return printJSON(a.stdout, d)
			}
			return writeAll(a.stdout, fmt.Sprintf("%s\n\n%s\n%s\n%d parameters, %d multiply-adds (%d channels, %d %s, %d classes, %dx%d pixels)\n",
				d.Architecture, draw.Text(s, arch), computes, d.Parameters, d.MultiplyAdds, d.Channels, d.Cells, unit, d.Classes, d.ImageSize, d.ImageSize))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.space, "space", "nasbench201", spaceFlag())
	f.StringVar(&o.genotype, "genotype", "", "the architecture, in place of the argument: a name or a notation of the darts space, unless --space says otherwise")
	f.IntVar(&o.channels, "channels", 0, "channels of the first cells (default 16; darts 36, with --stem imagenet 48)")
	f.IntVar(&o.cells, "cells", 0, "cells a stage (default 5)")
	f.IntVar(&o.layers, "layers", 0, "cells of a network of the darts space (default 20, with --stem imagenet 14)")
	f.StringVar(&o.stem, "stem", "", "how the network begins: cifar (default); in the darts space also imagenet, in others pooled, deep or whitened")
	f.StringVar(&o.reduction, "reduction", "", "what lies between stages: residual (default) or pooled")
	f.IntVar(&o.classes, "classes", 0, "classes (default 10, with --stem imagenet 1000)")
	f.IntVar(&o.imageSize, "image-size", 0, "height and width of the images in pixels (default 32, with --stem imagenet 224)")
	f.StringVar(&o.svg, "svg", "", "also write the drawing to this file, as SVG")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object")
	return cmd
}

// network returns what the flags and arguments name.
func (o *describeFlags) network(given func(flag string) bool, args []string) (n supernet.Network, s *space.Space, arch space.Architecture, err error) {
	switch {
	case len(args) == 1 && given("genotype"):
		return n, nil, nil, usagef("an architecture and --genotype are given; leave one of them out")
	case len(args) == 0 && !given("genotype"):
		return n, nil, nil, usagef("which architecture? Give it as the argument or with --genotype; see plateau describe --help")
	case len(args) == 0:
		args = []string{o.genotype}
	}
	if given("genotype") && !given("space") {
		o.space = "darts"
	}
	if s, arch, err = parseArchitecture(o.space, args[0]); err != nil {
		return n, nil, nil, err
	}
	defaults := supernet.Macro{Channels: 16, Cells: 5, Classes: 10, Image: [3]int{3, 32, 32}}
	cells, count := "cells", &o.cells
	if s.Whole {
		defaults.Cells = 1
	}
	if s.Pairs {
		defaults.Channels, defaults.Cells = 36, 20
		if !given("cells") {
			cells, count = "layers", &o.layers
		}
		if o.stem == "" {
			o.stem = string(supernet.StemCIFAR)
		}
		if o.stem == string(supernet.StemImageNet) {
			defaults = supernet.Macro{Channels: 48, Cells: 14, Classes: 1000, Image: [3]int{3, 224, 224}}
		}
	}
	if given("layers") && cells != "layers" {
		return n, nil, nil, usagef("--layers is for the darts space and the same as --cells there; here give --cells alone")
	}
	pick := func(flag string, value, otherwise int) int {
		if given(flag) {
			return value
		}
		return otherwise
	}
	size := pick("image-size", o.imageSize, defaults.Image[1])
	m := supernet.Macro{
		Channels: pick("channels", o.channels, defaults.Channels), Cells: pick(cells, *count, defaults.Cells),
		Classes: pick("classes", o.classes, defaults.Classes), Image: [3]int{3, size, size}, Stem: supernet.StemFor(s, o.stem), Reduction: supernet.ReductionFor(o.reduction),
	}
	if err := m.CheckFor(s); err != nil {
		return n, nil, nil, usagef("%v", err)
	}
	return supernet.Network{Space: s.Reference(), Architecture: s.Format(arch), Macro: m}, s, arch, nil
}

// spaceFlag is the help of the flag --space.
func spaceFlag() string {
	return "search space: " + strings.Join(space.Names(), ", ") + ", plain (networks without cells: resnet9), or a YAML file that declares one (name, nodes, edges, operations)"
}

// parseSpace returns the space with a name, or the one that a file declares.
func parseSpace(name string) (*space.Space, error) {
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" {
		s, err := space.ByName(name)
		if err != nil {
			return nil, usagef("%v", err)
		}
		return s, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("reading the declaration of a search space: %v", err)
	}
	var d space.Declaration
	if err := yaml.UnmarshalWithOptions(text, &d, yaml.Strict()); err != nil {
		return nil, usagef("reading the declaration of a search space from %s: %v", name, err)
	}
	s, err := d.Space()
	if err != nil {
		return nil, usagef("the declaration of a search space in %s: %v", name, err)
	}
	return s, nil
}

// parseArchitecture reads a space and an architecture of it from the command line.
func parseArchitecture(spaceName, text string) (*space.Space, space.Architecture, error) {
	s, err := parseSpace(spaceName)
	if err != nil {
		return nil, nil, err
	}
	for _, named := range s.Published() {
		if named.Name == text {
			return s, named.Architecture, nil
		}
	}
	a, err := s.Parse(text)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	return s, a, nil
}

// describe measures a network of the space called name.
func describe(name string, n supernet.Network) (*description, error) {
	index, running, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	model, err := n.Inference(make([]float32, index.Total()), make([]float32, running.Total()))
	if err != nil {
		return nil, err
	}
	cost, err := rewrite.CostOf(model, nil)
	if err != nil {
		return nil, fmt.Errorf("measuring the network: %w", err)
	}
	return &description{
		Space: name, Architecture: n.Architecture, Channels: n.Channels, Cells: n.Cells, Classes: n.Classes, ImageSize: n.Image[1],
		Parameters: index.Total(), MultiplyAdds: cost.MultiplyAdds,
	}, nil
}
