// Package train trains one architecture from scratch.
package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Kind returns the stage kind "train", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "train",
		Version: 4,
		Doc:     "Trains an architecture from scratch as a stand-alone network, of a given size or of one that fits a budget.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "The images to train on."},
			{Name: "architecture", Type: "architecture", Doc: "The architecture to train."},
		},
		Outputs: []pipeline.Output{
			{Name: "network", Type: "network", File: "network.json", Doc: "Architecture and skeleton of the trained network."},
			{Name: "weights", Type: "weights", File: "weights.safetensors", Doc: "Trained weights and running statistics."},
			{Name: "recipe", Type: "recipe", File: "recipe.yaml", Doc: "How it was trained: the settings, with channels, cells and epochs as a budget has come to."},
			{Name: "history", Type: "train-history", File: "history.csv", Doc: "Learning rate, loss and accuracy of each epoch."},
		},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

var _ pipeline.InputsValidator = (*stage)(nil)

// ValidateInputs implements pipeline.InputsValidator: the sizes of images that no network of the settings takes are found before
// anything runs, as far as the space is known.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	size, sp := dataset.SizeOf(from["dataset"]), space.Chosen(from["architecture"])
	if size == 0 || sp == nil {
		return nil
	}
	macro := supernet.Macro{Channels: s.Channels, Cells: s.Cells, Stages: s.Stages, Classes: 2, Image: [3]int{3, size, size}}
	macro.Stem, macro.Reduction = supernet.StemFor(sp, s.Stem), supernet.ReductionFor(s.Reduction)
	return macro.CheckFor(sp)
}

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) (err error) {
	in, _ := job.Input("dataset")
	data, err := dataset.Load(in.Path)
	if err != nil {
		return err
	}
	own := s.Settings
	if images := own.images(data).Count; own.Training.Batch > images {
		job.Warn("%d images do not fill a batch of %d: training in batches of %d", images, own.Training.Batch, max(images, 2))
		own.Training.Batch = max(images, 2)
	}
	in, _ = job.Input("architecture")
	found, err := result.ReadArchitecture(in.Path)
	if err != nil {
		return err
	}
	sp, _, err := found.Parse()
	if err != nil {
		return err
	}
	if _, err := own.Network(sp, found.Architecture, data); err != nil { // before anything is loaded
		return err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	settings, why, err := own.Fitted(ctx, rt, job, sp, found.Architecture, data)
	if err != nil {
		return err
	}
	net, err := settings.Network(sp, found.Architecture, data)
	if err != nil {
		return err
	}
	trained, err := settings.Fit(ctx, rt, job, net, data, settings.Epochs)
	if err != nil {
		return err
	}
	if err := WriteRecipe(job.Output("recipe"), settings); err != nil {
		return err
	}
	return trained.write(job, why)
}

// Network returns the network of an architecture of a space that the settings train. The error names settings that do not fit
// the space.
func (s *Settings) Network(sp *space.Space, architecture string, data *dataset.Dataset) (supernet.Network, error) {
	net := supernet.Network{Space: sp.Reference(), Architecture: architecture, Macro: supernet.MacroFor(data, s.Channels, s.Cells)}
	if s.Stages != supernet.DefaultStages {
		net.Stages = s.Stages
	}
	var errs []error
	net.Stem, net.Reduction = supernet.StemFor(sp, s.Stem), supernet.ReductionFor(s.Reduction)
	if !sp.Pairs {
		only := func(given bool, path string) {
			if given {
				errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf("the architecture is of the space %s; only networks of the space darts have this setting, so leave it out", sp.Name)})
			}
		}
		only(s.Auxiliary > 0, "auxiliary")
		only(s.DropPath > 0, "drop_path")
	}
	return net, errors.Join(append(errs, net.CheckFor(sp))...)
}
