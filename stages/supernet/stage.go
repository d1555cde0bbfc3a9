package supernet

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/space"
)

// Settings are the settings of the stage kind "supernet".
type Settings struct {
	Space      string             `yaml:"space" enum:"nasbench201,darts,custom" doc:"Search space: nasbench201, darts, or custom, one of your own."`
	Custom     *space.Declaration `yaml:"custom" doc:"The search space, when space is custom: its cell and operations."`
	Channels   int                `yaml:"channels" doc:"Channels of the first cells."`
	Cells      int                `yaml:"cells" doc:"Cells a stage; in the darts space cells in all, its layers."`
	Stages     int                `yaml:"stages" doc:"Stages, of which each has twice the channels and half the resolution of the one before; the darts space has 3."`
	ImageSize  int                `yaml:"image_size" doc:"Height and width that images are reduced to by area while searching; 0 leaves them as they are."`
	Partial    int                `yaml:"partial_channels" doc:"The operations of a cell are given one in so many channels, and the others go past them, as in PC-DARTS (there 4); 1 gives them all."`
	ScoreBatch int                `yaml:"score_batch" doc:"Images a batch when architectures are scored; normalization uses the statistics of the batch, so it should not be small."`
	Training   Training           `yaml:"training" doc:"The training step of the shared weights."`
}

// DefaultSettings returns a small supernet that searches quickly on two cores.
func DefaultSettings() Settings {
	return Settings{Space: "nasbench201", Channels: 8, Cells: 1, Stages: DefaultStages, Partial: 1, ScoreBatch: 250, Training: DefaultTraining()}
}

// Kind returns the stage kind "supernet".
func Kind() pipeline.Kind {
	out := func(name, typ, file, doc string) pipeline.Output {
		return pipeline.Output{Name: name, Type: pipeline.Type(typ), File: file, Doc: doc}
	}
	return pipeline.Kind{
		Name:      "supernet",
		Version:   2,
		Resources: pipeline.Resources{Cores: 1}, // it computes on one core, so others may run beside it
		Doc:       "Builds the weight-sharing supernet of a search space and its training steps as ONNX graphs, gradients included.",
		Inputs:    []pipeline.Port{{Name: "dataset", Type: "dataset", Doc: "Gives the size of the images and the number of classes."}},
		Outputs: []pipeline.Output{
			out("supernet", "supernet", "supernet.onnx", "The relaxed supernet: images, probabilities and params give logits."),
			out("train_step", "train-step", "train_step.onnx", "A step of SGD on the weights of the relaxed supernet."),
			out("architecture_step", "architecture-step", "architecture_step.onnx", "Loss and its gradient by the edge probabilities."),
			out("path", "path-supernet", "path.onnx", "The supernet computing one architecture only: images, choices and params give logits."),
			out("path_step", "path-step", "path_step.onnx", "A step of SGD on the weights of one architecture."),
			out("parameters", "parameters", "parameters.json", "Name, shape and offset of each parameter in the vector of weights."),
		},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Validator = (*Settings)(nil)

	_ pipeline.InputsValidator = (*Settings)(nil)
	_ space.Chooser            = (*Settings)(nil)
)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	sp, err := s.SearchSpace()
	if err != nil {
		errs = append(errs, err)
		sp = space.NASBench201()
	}
	size := 32
	if s.ImageSize != 0 {
		size = s.ImageSize
	}
	if step := 1 << (min(max(s.Stages, 1), maxStages) - 1); size < 8 || size%step != 0 {
		errs = append(errs, &pipeline.SettingError{Path: "image_size", Err: fmt.Errorf("%d; give a multiple of %d from %d up, or 0 for the images' own size", s.ImageSize, step, max(8, step))})
		size = 0
	}
	if s.ScoreBatch < 2 {
		errs = append(errs, &pipeline.SettingError{Path: "score_batch", Err: fmt.Errorf("%d images a batch; batch normalization needs at least 2", s.ScoreBatch)})
	}
	if size == 0 || s.ImageSize == 0 {
		size = 128 // fits them all
	}
	errs = append(errs, (Macro{Channels: s.Channels, Cells: s.Cells, Stages: s.Stages, Classes: 2, Image: [3]int{3, size, size}, Partial: s.Partial}).CheckFor(sp), s.Training.Validate("training"))
	return errors.Join(errs...)
}

// SearchSpace implements space.Chooser. Errors are *pipeline.SettingError, those of a declaration each with its path.
func (s *Settings) SearchSpace() (*space.Space, error) {
	const custom = "custom"
	switch {
	case s.Space == custom && s.Custom == nil:
		return nil, &pipeline.SettingError{Path: custom, Err: errors.New("the space is custom, but is not declared; give name, nodes, edges and operations here, or use space: nasbench201 or darts")}
	case s.Space != custom && s.Custom != nil:
		return nil, &pipeline.SettingError{Path: "space", Err: fmt.Errorf("a search space is declared under custom, but the space is %s; write space: custom, or leave custom out", s.Space)}
	case s.Space != custom:
		sp, err := space.ByName(s.Space)
		if err != nil {
			return nil, &pipeline.SettingError{Path: "space", Err: err}
		}
		return sp, nil
	}
	sp, err := s.Custom.Space()
	var errs []error
	for _, err := range flatten(err) {
		if d := new(space.DeclarationError); errors.As(err, &d) {
			err = &pipeline.SettingError{Path: custom + "." + d.Path, Err: d.Err}
		}
		errs = append(errs, err)
	}
	return sp, errors.Join(errs...)
}

// MacroFor returns the skeleton with the given width and depth for a dataset.
func MacroFor(d *dataset.Dataset, channels, cells int) Macro {
	return Macro{Channels: channels, Cells: cells, Classes: len(d.Classes), Image: [3]int{d.Test.Channels, d.Test.Height, d.Test.Width}}
}

// ValidateInputs implements pipeline.InputsValidator.
func (s *Settings) ValidateInputs(from map[string][]pipeline.Stage) error {
	size := dataset.SizeOf(from["dataset"])
	if err := dataset.CheckReduced("image_size", s.ImageSize, size); err != nil || size == 0 || s.ImageSize > 0 {
		return err
	}
	sp, err := s.SearchSpace()
	if err != nil {
		return err
	}
	return (Macro{Channels: s.Channels, Cells: s.Cells, Stages: s.Stages, Classes: 2, Image: [3]int{3, size, size}, Partial: s.Partial}).CheckFor(sp)
}

// reduced returns a batch that images fill, and says so where the one of the settings is larger: the smaller batch takes all of them.
func reduced(job *pipeline.Job, what string, batch, images int) int {
	if batch <= images || images < 2 {
		return batch
	}
	job.Warn("%d %s do not fill a batch of %d: the graphs are made for batches of %d", images, what, batch, images)
	return images
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	in, _ := job.Input("dataset")
	d, err := dataset.Load(in.Path)
	if err != nil {
		return err
	}
	if s.ImageSize != 0 {
		if d, err = d.Reduce(s.ImageSize, s.ImageSize); err != nil {
			return &pipeline.SettingError{Path: "image_size", Err: err}
		}
	}
	sp, err := s.SearchSpace()
	if err != nil {
		return err
	}
	macro := MacroFor(d, s.Channels, s.Cells)
	if s.Stages != DefaultStages {
		macro.Stages = s.Stages
	}
	if s.Partial > 1 {
		macro.Partial = s.Partial
	}
	sn, err := New(sp, macro)
	if err != nil {
		return err
	}
	sn.Recompute = s.Training.Recompute
	training, scoreBatch := s.Training, s.ScoreBatch
	least := d.Train.Count
	if d.Valid.Count > 0 {
		least = min(least, d.Valid.Count)
		scoreBatch = reduced(job, "images scored on", scoreBatch, d.Valid.Count)
	}
	training.Batch = reduced(job, "images", training.Batch, least)
	graphs := []struct {
		output string
		build  func() (*onnx.ModelProto, error)
	}{
		{"supernet", func() (*onnx.ModelProto, error) { return sn.Forward(scoreBatch) }},
		{"train_step", func() (*onnx.ModelProto, error) { return sn.TrainStep(training) }},
		{"architecture_step", func() (*onnx.ModelProto, error) { return sn.ArchitectureStep(training.Batch) }},
		{"path", func() (*onnx.ModelProto, error) { return sn.Path(scoreBatch) }},
		{"path_step", func() (*onnx.ModelProto, error) { return sn.PathStep(training) }},
	}
	for _, gr := range graphs {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := gr.build()
		if err != nil {
			return err
		}
		if err := onnx.Save(job.Output(gr.output), m, onnx.SaveOptions{}); err != nil {
			return err
		}
		info, err := os.Stat(job.Output(gr.output))
		if err != nil {
			return err
		}
		job.Info("%s.onnx: %d nodes, %.1f MB", gr.output, len(m.GetGraph().GetNode()), float64(info.Size())/1e6)
	}
	if err := sn.Index.Save(job.Output("parameters")); err != nil {
		return err
	}
	unit := "cells a stage"
	if sp.Pairs {
		unit = "cells"
	}
	job.Info("%s with %d channels, %s: %d, shared parameters: %d", sp.Name, s.Channels, unit, s.Cells, sn.Index.Total())
	job.Metric("shared_parameters", float64(sn.Index.Total()))
	return nil
}
