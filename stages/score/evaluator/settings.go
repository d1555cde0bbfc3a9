// Package evaluator opens the evaluator that a document asks for: weight sharing, training, zero-cost proxies or a command, each with
// the costs that objectives refer to.
//
// Its nouns: Settings are the part of a stage's settings that chooses an evaluator; Inputs are what the stage has for it; a
// Level is an evaluator at one training budget, the last of which is the full one.
package evaluator

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/score/proxy"
	"github.com/plateau-nas/plateau/stages/score/training"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// The evaluators.
const (
	Table    = "table"    // a public table, which the stage opens itself
	Sharing  = "sharing"  // a supernet's shared weights on validation images
	Training = "training" // training for some epochs
	Proxy    = "proxy"    // zero-cost proxies at the first weights
	Exec     = "exec"     // a command of the user's
	Scores   = "scores"   // what earlier stages have scored
)

// Kinds returns the names of all evaluators.
func Kinds() []string { return []string{Table, Sharing, Training, Proxy, Exec, Scores} }

// Settings choose an evaluator.
type Settings struct {
	Kind     string            `yaml:"kind" enum:"table,sharing,training,proxy,exec,scores" doc:"table (a column of a public table), sharing (a supernet's shared weights), training (for some epochs), proxy (zero-cost proxies), exec (a command of one's own) or scores (what earlier stages have scored: the input scores; its metrics by their names, and of several stages also as STAGE.NAME)."`
	Network  NetworkSettings   `yaml:"network" doc:"The stand-alone network of a candidate: for proxy, for exec with initial weights, and for costs unless the evaluator has a network of its own."`
	Sharing  SharingSettings   `yaml:"sharing" doc:"For sharing: what candidates are scored on."`
	Training training.Settings `yaml:"training" doc:"For training, and for exec with trained weights: the settings of the stage kind train, and lower budgets."`
	Proxy    proxy.Settings    `yaml:"proxy" doc:"For proxy: which ones, and on how many images."`
	Exec     command.Settings  `yaml:"exec" doc:"For exec: the command, what its answer means, and its limits."`
	Costs    cost.Settings     `yaml:"costs" doc:"Costs that every result has, whatever the evaluator."`
}

// NetworkSettings say how large the stand-alone network of a candidate is.
type NetworkSettings struct {
	Channels int `yaml:"channels" doc:"Channels of the first cells."`
	Cells    int `yaml:"cells" doc:"Cells a stage; in the darts space cells in all, its layers."`
	Stages   int `yaml:"stages" doc:"Stages, of which each has twice the channels and half the resolution of the one before; the darts space has 3."`
	// ImageSize is the side of square images in pixels; 0 is as they are.
	ImageSize int    `yaml:"image_size" doc:"Height and width, in pixels, that images are reduced to for proxy, training and exec, and for costs: a quarter of the pixels takes a quarter of the time. 0 takes them as they are; sharing takes those of the supernet."`
	Stem      string `yaml:"stem" enum:"cifar,imagenet,pooled,deep,whitened" doc:"How a network begins, as in the stage kind train; filters that whiten are drawn at random here."`
	Reduction string `yaml:"reduction" enum:"residual,pooled" doc:"What lies between stages, as in the stage kind train."`
}

// Macro returns the skeleton of the network for architectures of a space, on images of a dataset or, where that is nil, on those of
// CIFAR-10.
func (n NetworkSettings) Macro(s *space.Space, d *dataset.Dataset) supernet.Macro {
	m := supernet.Macro{Channels: n.Channels, Cells: n.Cells, Classes: 10, Image: [3]int{3, 32, 32}}
	if d != nil {
		m = supernet.MacroFor(d, n.Channels, n.Cells)
	}
	if n.Stages != supernet.DefaultStages {
		m.Stages = n.Stages
	}
	m.Stem, m.Reduction = supernet.StemFor(s, n.Stem), supernet.ReductionFor(n.Reduction)
	if n.ImageSize > 0 {
		m.Image[1], m.Image[2] = n.ImageSize, n.ImageSize
	}
	return m
}

// SharingSettings say what weight sharing scores on.
type SharingSettings struct {
	Images int `yaml:"images" doc:"Validation images that architectures are scored on, in whole batches; 0 takes all."`
}

// DefaultSettings returns the table, and for the other evaluators their defaults, with the networks of NAS-Bench-201.
func DefaultSettings() Settings {
	return Settings{
		Kind:    Table,
		Network: NetworkSettings{Channels: 16, Cells: 5, Stages: supernet.DefaultStages, Stem: string(supernet.StemCIFAR), Reduction: string(supernet.ReductionResidual)},
		Sharing: SharingSettings{Images: 1000}, Training: training.DefaultSettings(), Proxy: proxy.DefaultSettings(),
		Exec: command.DefaultSettings(), Costs: cost.DefaultSettings(),
	}
}

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: at(setting), Err: fmt.Errorf(format, args...)})
		}
	}
	if !slices.Contains(Kinds(), st.Kind) {
		return pipeline.UnknownValue(at("kind"), st.Kind, Kinds())
	}
	usual := DefaultSettings()
	for _, block := range []struct {
		name        string
		used        bool
		given, from any
		check       func(string) error
	}{
		{"sharing", st.Kind == Sharing, st.Sharing, usual.Sharing, st.Sharing.validate},
		{"training", st.Kind == Training || st.Kind == Exec && st.Exec.Weights == command.Trained, st.Training, usual.Training, st.Training.Validate},
		{"proxy", st.Kind == Proxy, st.Proxy, usual.Proxy, st.Proxy.Validate},
		{"exec", st.Kind == Exec, st.Exec, usual.Exec, st.Exec.Validate},
	} {
		if block.used {
			errs = append(errs, block.check(at(block.name)))
		} else {
			check(reflect.DeepEqual(block.given, block.from), block.name, "the evaluator is %s, which does not use these settings; remove them, or set %s", st.Kind, at("kind"))
		}
	}
	check(st.Network.Channels >= 1, "network.channels", "%d channels; at least 1 is needed", st.Network.Channels)
	check(st.Network.ImageSize >= 0, "network.image_size", "%d pixels; give the side of the images, or 0 for their own", st.Network.ImageSize)
	check(st.Network.ImageSize == 0 || st.Kind != Sharing, "network.image_size", "the supernet says how large its images are; remove it, or set image_size of the stage supernet")
	check(st.Network.Cells >= 1, "network.cells", "%d cells; at least 1 is needed", st.Network.Cells)
	check(st.Network.Stages >= 1, "network.stages", "%d stages; at least 1 is needed", st.Network.Stages)
	if stems := supernet.Stems(); !slices.Contains(stems, st.Network.Stem) {
		errs = append(errs, pipeline.UnknownValue(at("network.stem"), st.Network.Stem, stems))
	}
	if reductions := supernet.Reductions(); !slices.Contains(reductions, st.Network.Reduction) {
		errs = append(errs, pipeline.UnknownValue(at("network.reduction"), st.Network.Reduction, reductions))
	}
	errs = append(errs, st.Costs.Validate(at("costs")))
	for i, name := range st.Costs.Metrics {
		check(!slices.Contains(st.own(), name), fmt.Sprintf("costs.metrics[%d]", i), "the evaluator itself gives %s; remove it here", name)
	}
	return errors.Join(errs...)
}

func (s SharingSettings) validate(path string) error {
	if s.Images < 0 {
		return &pipeline.SettingError{Path: path + ".images", Err: fmt.Errorf("%d images; give a number of images, or 0 for all", s.Images)}
	}
	return nil
}

// own returns the names of the metrics that the evaluator gives besides score, loss and accuracy; nil for a table.
func (st Settings) own() []string {
	switch st.Kind {
	case Training:
		return []string{"train_loss"}
	case Proxy:
		return st.Proxy.Proxies
	case Exec:
		return st.Exec.Names()
	}
	return nil
}

// Metrics returns the names of the metrics that objectives can refer to: score, loss, accuracy, those of the evaluator and the costs.
// Those of a table are the caller's to add.
func (st Settings) Metrics() []string {
	out := []string{"score", "loss", "accuracy"}
	for _, name := range append(st.own(), cost.Names()...) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// CheckInputs reports the inputs that the evaluator needs and does not have, each as a *pipeline.SettingError whose path begins with
// path. connected says of the inputs of Ports whether they are there; trained does for weights, whose place it takes.
func (st Settings) CheckInputs(path string, connected func(port string) bool) error {
	at := func(setting, format string, args ...any) error {
		return &pipeline.SettingError{Path: strings.TrimPrefix(path+"."+setting, "."), Err: fmt.Errorf(format, args...)}
	}
	if st.Kind == Table {
		var errs []error
		if !connected("table") {
			errs = append(errs, at("kind", "the evaluator is a table, and the input table is not connected; add a stage of the kind table, or choose another evaluator"))
		}
		if len(st.Costs.Metrics) > 0 && !connected("dataset") {
			errs = append(errs, at("costs", "%s depends on the images, and the input dataset is not connected; add a stage of the kind dataset, or name a column of the table under metrics", st.Costs.Metrics[0]))
		}
		return errors.Join(errs...)
	}
	if st.Kind == Scores {
		var errs []error
		if !connected("scores") {
			errs = append(errs, at("kind", "the evaluator looks up what earlier stages have scored, and the input scores is not connected; name a stage that writes scores"))
		}
		if len(st.Costs.Metrics) > 0 && !connected("dataset") {
			errs = append(errs, at("costs", "%s depends on the images, and the input dataset is not connected; add a stage of the kind dataset", st.Costs.Metrics[0]))
		}
		return errors.Join(errs...)
	}
	if !connected("dataset") {
		return at("kind", "the evaluator %s needs images, and the input dataset is not connected; add a stage of the kind dataset", st.Kind)
	}
	if connected("path") && connected("parameters") && (connected("weights") || connected("trained")) {
		return nil
	}
	const missing = "%s needs shared weights, and not all of the inputs path, parameters and weights are connected; add stages of the kinds supernet and search before this one"
	switch {
	case st.Kind == Sharing:
		return at("kind", missing, "weight sharing")
	case st.Kind == Exec && st.Exec.Weights == command.Inherited:
		return at("exec.weights", missing, "a model with inherited weights")
	}
	return nil
}

// KnowsMetrics reports whether Metrics has all names that objectives can refer to. Those of a table and of earlier scores are known
// when they are read.
func (st Settings) KnowsMetrics() bool {
	return slices.Contains(Kinds(), st.Kind) && st.Kind != Table && st.Kind != Scores
}

// CheckObjective reports the metrics of an objective that the evaluator does not give, each as a *pipeline.SettingError whose path
// begins with path. further are names that the caller adds.
func (st Settings) CheckObjective(path string, o objective.Settings, further ...string) error {
	known := append(st.Metrics(), further...)
	var errs []error
	check := func(setting, name string) {
		if name != "" && !slices.Contains(known, name) {
			e := pipeline.UnknownValue(path+"."+setting, name, known)
			e.Err = fmt.Errorf("the evaluator %s gives no metric %q", st.Kind, name)
			errs = append(errs, e)
		}
	}
	for i, g := range o.Goals {
		check(fmt.Sprintf("goals[%d].metric", i), g.Metric)
	}
	for i, c := range o.Constraints {
		check(fmt.Sprintf("constraints[%d].metric", i), c.Metric)
	}
	return errors.Join(errs...)
}

// WithCosts returns the settings with the costs that an objective names and nothing else gives. further are names that the
// caller gives.
func (st Settings) WithCosts(o objective.Settings, further ...string) Settings {
	named := []string{}
	for _, g := range o.Goals {
		named = append(named, g.Metric)
	}
	for _, c := range o.Constraints {
		named = append(named, c.Metric)
	}
	given := slices.Concat(st.own(), further, st.Costs.Metrics)
	st.Costs.Metrics = slices.Clone(st.Costs.Metrics)
	for _, name := range named {
		if slices.Contains(cost.Names(), name) && !slices.Contains(given, name) {
			given = append(given, name)
			st.Costs.Metrics = append(st.Costs.Metrics, name)
		}
	}
	return st
}
