package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/export"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

type exportFlags struct {
	stage, weights, dataset, output, input, stem, reduction string
	channels, cells, stages, calibration                    int
	also                                                    []string
	softmax, force, json                                    bool
}

// exported is what export --json prints.
type exported struct {
	File         string         `json:"file"`
	Architecture string         `json:"architecture"`
	Input        evaluate.Input `json:"input"`
	Output       string         `json:"output"`
	TestTop1     float64        `json:"test_top1"`
	TestLoss     float64        `json:"test_loss"`
	Checks       []result.Check `json:"checks"`
	// Precisions compares the files that --also brings with the one in float32.
	Precisions *result.Precisions `json:"precisions,omitempty"`
}

func newExportCommand(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export RUN_DIR|NETWORK.json|ARCHITECTURE.json",
		Short: "Write a trained network as an ONNX classifier, and check it",
		Long: strings.TrimSpace(`
Writes a trained network as one ONNX file: images in, one score a class out, with the class names and everything that a user
needs to know in its metadata. The file is compared with the trained network and with an independent decoder before it is
put in place. This is what the stage export does, for what has been trained already.

The network is given as the directory of a run that trained it (with --stage when several stages did), as the network.json of
a training, or as the architecture.json of a search. --weights and --dataset are the files that a training and a dataset
stage leave; in a run directory, and beside a network.json, they are found. An architecture.json does not know the skeleton
that was trained: give --channels and --cells, those of the training.

With --also int8 and --also float16 the model is also written in fewer bits, beside the file: classifier.int8.onnx. Each is measured on
the test images beside the one in float32, its accuracy and its time. int8 takes the ranges of its values from training images.`),
		Example: strings.Trim(`
  plateau export runs/cifar10 -o classifier.onnx --softmax
  plateau export runs/cifar10 -o classifier/
  plateau export runs/cifar10 -o classifier/ --also int8,float16
  plateau export runs/mine/train/network.json --dataset runs/mine/data/dataset.safetensors -o classifier.onnx
  plateau export architecture.json --weights weights.safetensors --dataset dataset.safetensors --channels 16 --cells 5 -o classifier.onnx`, "\n"),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, summary, err := a.export(cmd.Context(), args[0], f)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(a.stdout, out)
			}
			return writeAll(a.stdout, fmt.Sprintf("%s: %s\n", out.File, summary))
		},
	}
	s := cmd.Flags()
	s.StringVarP(&f.output, "output", "o", "model.onnx", "the file to write; or a folder, which also gets the names of the classes, a model card and programs that use the model")
	s.StringVar(&f.stage, "stage", "", "the stage of the run that trained the network, where there are several")
	s.StringVar(&f.weights, "weights", "", "weights.safetensors of the training (default beside network.json)")
	s.StringVar(&f.dataset, "dataset", "", "dataset.safetensors of the data that the network was trained on (default the run's)")
	s.IntVar(&f.channels, "channels", 0, "for an architecture.json, channels of the first cells as they were trained")
	s.IntVar(&f.cells, "cells", 0, "for an architecture.json, cells a stage as they were trained; in the DARTS space, in all")
	s.IntVar(&f.stages, "stages", 0, "for an architecture.json, stages as they were trained (default 3)")
	s.StringVar(&f.stem, "stem", "", "for an architecture.json, how the network begins, as in the stage train: cifar (default), imagenet, pooled, deep or whitened")
	s.StringVar(&f.reduction, "reduction", "", "for an architecture.json, what lies between stages: residual (default) or pooled")
	s.StringVar(&f.input, "input", string(evaluate.InputPixels), "numbers that the model takes: pixels (0 to 255), unit (0 to 1) or normalized")
	s.BoolVar(&f.softmax, "softmax", false, "give probabilities alone; otherwise logits, and probabilities as a second output")
	s.StringSliceVar(&f.also, "also", nil, "precisions in which the model is written too, beside the file: int8, float16")
	s.IntVar(&f.calibration, "calibration-images", export.DefaultSettings().CalibrationImages, "training images that the ranges of int8 are from")
	s.BoolVar(&f.force, "force", false, "replace a file that is there")
	s.BoolVar(&f.json, "json", false, "print one JSON object")
	// The flags are there, so this cannot fail.
	_ = cmd.RegisterFlagCompletionFunc("also", cobra.FixedCompletions([]string{"int8", "float16"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("input", cobra.FixedCompletions([]string{"pixels", "unit", "normalized"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) export(ctx context.Context, from string, f exportFlags) (out *exported, summary string, err error) {
	settings := export.DefaultSettings()
	settings.Input, settings.Softmax, settings.CalibrationImages = evaluate.Input(f.input), f.softmax, f.calibration
	for _, p := range f.also {
		settings.Also = append(settings.Also, export.Precision(p))
	}
	if err := settings.Validate(); err != nil {
		return nil, "", &usageError{err}
	}
	folder := ""
	if info, err := os.Stat(f.output); err == nil && info.IsDir() || strings.HasSuffix(f.output, "/") || strings.HasSuffix(f.output, string(filepath.Separator)) {
		folder = f.output
		f.output = filepath.Join(folder, "model.onnx")
	}
	for _, p := range append([]export.Precision{export.Float32}, settings.Also...) {
		if path := export.PrecisionFile(f.output, p); !f.force {
			if _, err := os.Stat(path); err == nil {
				return nil, "", usagef("%s is there already; give another -o, or --force to replace it", path)
			}
		}
	}
	scratch, err := os.MkdirTemp("", "plateau-export-")
	if err != nil {
		return nil, "", fmt.Errorf("making a folder for the unchecked model: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	files, err := f.files(from, scratch)
	if err != nil {
		return nil, "", err
	}
	// A file that fails a check never stands under the name that was asked for.
	unchecked := filepath.Join(scratch, "model.onnx")
	m, err := export.Write(ctx, a.openRuntime, unchecked, files, settings, a.exportProgress())
	if err != nil {
		return nil, "", err
	}
	if folder != "" {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return nil, "", fmt.Errorf("making the folder of the model: %w", err)
		}
		if err := m.WriteBeside(folder); err != nil {
			return nil, "", err
		}
	}
	for _, p := range append(slices.Clone(settings.Also), export.Float32) {
		data, err := os.ReadFile(export.PrecisionFile(unchecked, p))
		if err != nil {
			return nil, "", fmt.Errorf("reading the checked model: %w", err)
		}
		if err := atomicfile.WriteBytes(export.PrecisionFile(f.output, p), data); err != nil {
			return nil, "", err
		}
	}
	return &exported{
		File: f.output, Architecture: m.Network.Architecture, Input: settings.Input, Output: m.Output,
		TestTop1: m.Test.Top1, TestLoss: m.Test.Loss, Checks: m.Checks.Checks, Precisions: m.Precisions,
	}, strings.Join(append([]string{m.String()}, m.Measured(f.output)...), "\n"), nil
}

// exportProgress shows people how far a long export has come.
func (a *app) exportProgress() export.Progress {
	if !term.IsTerminal(int(a.stderr.Fd())) {
		return nil
	}
	return func(phase string, done, total int) {
		fmt.Fprintf(a.stderr, "\r%s: %d of %d\x1b[K", phase, done, total)
		if done == total {
			fmt.Fprint(a.stderr, "\r\x1b[K")
		}
	}
}

// files finds what a model is made of.
func (f *exportFlags) files(from, scratch string) (export.Files, error) {
	var out export.Files
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return out, usagef("%v", err)
	case info.IsDir():
		out, err = trainedIn(from, f.stage)
	default:
		out, err = f.single(from, scratch)
	}
	if err != nil {
		return out, err
	}
	if f.weights != "" {
		out.Weights = f.weights
	}
	if f.dataset != "" {
		out.Dataset = f.dataset
	}
	switch {
	case out.Weights == "":
		return out, usagef("--weights is missing: the weights.safetensors that the training of this architecture left")
	case out.Dataset == "":
		return out, usagef("--dataset is missing: the dataset.safetensors that the network was trained on, which has the class names and the normalization")
	}
	for flag, path := range map[string]string{"--weights": out.Weights, "--dataset": out.Dataset} {
		if _, err := os.Stat(path); err != nil {
			return out, usagef("%s: %v", flag, err)
		}
	}
	return out, nil
}

// trainedIn finds the files of a training in a run directory.
func trainedIn(dir, stage string) (export.Files, error) {
	var out export.Files
	run, err := pipeline.ReadRunFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return out, usagef("%s is no run directory: %w", dir, err)
	}
	// path of an output, by the name that documents use: STAGE.OUTPUT.
	paths := map[string]string{}
	var trained []pipeline.RunStage
	var ids []string
	for _, s := range run.Stages {
		has := 0
		for _, o := range s.Outputs {
			paths[s.ID+"."+o.Name] = filepath.Join(dir, s.ID, o.File)
			if o.Type == "network" || o.Type == "weights" {
				has++
			}
		}
		if has == 2 {
			ids = append(ids, s.ID)
			if stage == "" || s.ID == stage {
				trained = append(trained, s)
			}
		}
	}
	switch {
	case len(ids) == 0:
		return out, usagef("no stage of the run in %s has trained a network yet", dir)
	case len(trained) == 0:
		return out, usagef("--stage: no stage %q has trained a network; %s", stage, pipeline.Suggest(stage, "stages", ids))
	case len(trained) > 1:
		return out, usagef("several stages have trained a network: %s; choose one with --stage", strings.Join(ids, ", "))
	}
	s := trained[0]
	for _, o := range s.Outputs {
		switch path := paths[s.ID+"."+o.Name]; o.Type {
		case "network":
			out.Network = path
		case "weights":
			out.Weights = path
		case "train-history":
			out.History = path
		}
	}
	for _, in := range s.Inputs {
		switch in.Type {
		case "dataset":
			out.Dataset = paths[in.Source]
		case "architecture":
			out.Architecture = paths[in.Source]
		}
	}
	return out, nil
}

// single takes a network.json, or makes one of an architecture.json.
func (f *exportFlags) single(path, scratch string) (export.Files, error) {
	if f.stage != "" {
		return export.Files{}, usagef("--stage is for a run directory, and %s is a file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return export.Files{}, usagef("%v", err)
	}
	var has struct {
		Channels *int     `json:"channels"`
		Found    []string `json:"operations"`
	}
	if err := json.Unmarshal(text, &has); err != nil {
		return export.Files{}, usagef("%s is no network.json or architecture.json: %v", path, err)
	}
	if has.Found == nil {
		if f.channels != 0 || f.cells != 0 || f.stages != 0 || f.stem != "" || f.reduction != "" {
			return export.Files{}, usagef("%s says its skeleton itself; leave --channels, --cells, --stages, --stem and --reduction out", path)
		}
		out := export.Files{Network: path}
		beside := filepath.Join(filepath.Dir(path), "weights.safetensors")
		if _, err := os.Stat(beside); err == nil {
			out.Weights = beside
		}
		return out, nil
	}
	if f.channels < 1 || f.cells < 1 || f.dataset == "" {
		return export.Files{}, usagef("an architecture.json does not know the network that was trained: give --channels and --cells of the training, --weights and --dataset")
	}
	arch, err := result.ReadArchitecture(path)
	if err != nil {
		return export.Files{}, &usageError{err}
	}
	d, err := dataset.Load(f.dataset)
	if err != nil {
		return export.Files{}, &usageError{err}
	}
	s, _, err := arch.Parse()
	if err != nil {
		return export.Files{}, &usageError{err}
	}
	n := supernet.Network{Space: arch.Space, Architecture: arch.Architecture, Macro: supernet.MacroFor(d, f.channels, f.cells)}
	n.Stages, n.Stem, n.Reduction = f.stages, supernet.StemFor(s, f.stem), supernet.ReductionFor(f.reduction)
	if s.Pairs && n.Stem == "" {
		n.Stem = supernet.StemCIFAR
	}
	n.Image = [3]int{d.Test.Channels, d.Test.Height, d.Test.Width}
	if err := n.CheckFor(s); err != nil {
		return export.Files{}, usagef("%v", err)
	}
	network, err := json.Marshal(n)
	if err != nil {
		return export.Files{}, fmt.Errorf("writing the network: %w", err)
	}
	out := export.Files{Network: filepath.Join(scratch, "network.json"), Architecture: path}
	return out, atomicfile.WriteBytes(out.Network, network)
}
