package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// description is what describe prints.
type description struct {
	Space        string   `json:"space"`
	Architecture string   `json:"architecture"`
	Operations   []string `json:"operations"`
	Channels     int      `json:"channels"`
	Cells        int      `json:"cells"`
	Classes      int      `json:"classes"`
	ImageSize    int      `json:"image_size"`
	Parameters   int      `json:"parameters"`
	MultiplyAdds int64    `json:"multiply_adds"`
}

func newDescribeCommand(a *app) *cobra.Command {
	var asJSON bool
	var channels, cells, classes, imageSize int
	var spaceName string
	cmd := &cobra.Command{
		Use:   "describe ARCHITECTURE",
		Short: "Show the size and the drawing of an architecture",
		Long: strings.TrimSpace(`
Shows how many trainable parameters and multiply-adds the stand-alone network of an architecture has in a skeleton,
and draws its cell. The defaults are the skeleton of NAS-Bench-201 on CIFAR-10.`),
		Example: "  plateau describe '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|'",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, arch, err := parseArchitecture(spaceName, args[0])
			if err != nil {
				return err
			}
			n := supernet.Network{Space: s.Name, Architecture: s.Format(arch), Macro: supernet.Macro{Channels: channels, Cells: cells, Classes: classes, Image: [3]int{3, imageSize, imageSize}}}
			if err := n.Macro.Check(); err != nil {
				return usagef("%v", err)
			}
			d, err := describe(n)
			if err != nil {
				return err
			}
			for _, op := range arch {
				d.Operations = append(d.Operations, s.Operations[op])
			}
			if asJSON {
				return printJSON(a.stdout, d)
			}
			return writeAll(a.stdout, fmt.Sprintf("%s\n\n%s\n%d parameters, %d multiply-adds (%d channels, %d cells a stage, %d classes, %dx%d pixels)\n",
				d.Architecture, draw.Text(s, arch), d.Parameters, d.MultiplyAdds, channels, cells, classes, imageSize, imageSize))
		},
	}
	f := cmd.Flags()
	f.StringVar(&spaceName, "space", "nasbench201", "search space")
	f.IntVar(&channels, "channels", 16, "channels of the first stage")
	f.IntVar(&cells, "cells", 5, "cells a stage")
	f.IntVar(&classes, "classes", 10, "classes")
	f.IntVar(&imageSize, "image-size", 32, "height and width of the images in pixels")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// parseArchitecture reads the name of a space and an architecture of it from the command line.
func parseArchitecture(spaceName, text string) (*space.Space, space.Architecture, error) {
	s, err := space.ByName(spaceName)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	a, err := s.Parse(text)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	return s, a, nil
}

// describe measures a network.
func describe(n supernet.Network) (*description, error) {
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
		Space: n.Space, Architecture: n.Architecture, Channels: n.Channels, Cells: n.Cells, Classes: n.Classes, ImageSize: n.Image[1],
		Parameters: index.Total(), MultiplyAdds: cost.MultiplyAdds,
	}, nil
}
