package train

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// genotypeInputs are images of 32x32, for which the auxiliary head is made, and a genotype.
func genotypeInputs(t *testing.T) map[string]pipeline.Artifact {
	t.Helper()
	folder := t.TempDir()
	data, arch := filepath.Join(folder, "dataset.safetensors"), filepath.Join(folder, "architecture.json")
	st := dataset.DefaultSettings()
	st.Size, st.TrainImages, st.TestImages = 32, 16, 10
	d, err := dataset.Make(t.Context(), st, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Save(data); err != nil {
		t.Fatal(err)
	}
	s := space.DARTS()
	a, err := s.Parse("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	if err := result.WriteArchitecture(arch, result.NewArchitecture(s, a)); err != nil {
		t.Fatal(err)
	}
	return map[string]pipeline.Artifact{
		"dataset":      {Type: "dataset", Path: data, Stage: "data"},
		"architecture": {Type: "architecture", Path: arch, Stage: "search"},
	}
}

var recipe = []string{"cells: 3", "auxiliary: 0.4", "drop_path: 0.5"}

func TestGenotypesTrainWithAuxiliaryHeadAndDropPath(t *testing.T) {
	run := training(t, genotypeInputs(t), recipe...)
	want := run.Must(t)
	net, err := supernet.ReadNetwork(want.Outputs["network"])
	if err != nil {
		t.Fatal(err)
	}
	index, _, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	if net.Space != "darts" || net.Stem != supernet.StemCIFAR || net.Cells != 3 || int(want.Metrics["parameters"]) != index.Total() {
		t.Errorf("trained %+v with %v parameters", net, want.Metrics["parameters"])
	}
	// The head is kept with the weights, and the network can do without.
	f, err := safetensors.Read(want.Outputs["weights"])
	if err != nil {
		t.Fatal(err)
	}
	head := 0
	for _, x := range f.Tensors {
		if strings.HasPrefix(x.Name, "cell2.auxiliary.") || strings.HasPrefix(x.Name, "auxiliary.") {
			head++
		}
	}
	if _, err := supernet.LoadWeights(want.Outputs["weights"], index); err != nil || head == 0 {
		t.Errorf("%d tensors of the auxiliary head: %v", head, err)
	}
	for _, less := range []string{"auxiliary: 0", "drop_path: 0"} {
		if other := training(t, genotypeInputs(t), append(recipe[:3:3], less)...).Must(t).Bytes(t); other["weights"] == want.Bytes(t)["weights"] {
			t.Errorf("with %s the weights are the same", less)
		}
	}
	run.Scratch = interrupted(t, run, func(p event.Progress) bool { return p.Done == 2 && !p.Final }).Scratch
	stagetest.SameBytes(t, want, run.Must(t))
}

func TestDropPathKeepsTheMeanAndRises(t *testing.T) {
	r := &run{Settings: &Settings{DropPath: 0.4, Epochs: 4}, drops: make([]float32, 40000)}
	for epoch, p := range []float64{0, 0.1, 0.2, 0.3} {
		r.dropPath(epoch, rand.New(rand.NewPCG(1, 2)))
		dropped, sum := 0.0, 0.0
		for _, v := range r.drops {
			if v == 0 {
				dropped++
			}
			sum += float64(v)
		}
		n := float64(len(r.drops))
		if d := dropped / n; d < p-0.01 || d > p+0.01 || sum/n < 0.98 || sum/n > 1.02 {
			t.Errorf("epoch %d: %.3f of the edges are dropped, want %.3f; the mean factor is %.3f", epoch, d, p, sum/n)
		}
	}
}

func TestSettingsOfTheDARTSSpaceAreRefusedElsewhere(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	for setting, want := range map[string]string{
		"auxiliary: 0.4": "auxiliary: the architecture is of the space nasbench201", "drop_path: 0.1": "drop_path: the architecture", "stem: imagenet": `stem: "imagenet" is no stem of the space nasbench201`,
	} {
		if res := training(t, in, setting).Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v", setting, res.Err)
		}
	}
	small := genotypeInputs(t)
	small["dataset"] = in["dataset"]
	if res := training(t, small, recipe...).Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "leave the head out") {
		t.Errorf("an auxiliary head on images of 12x12: %v", res.Err)
	}
	if res := training(t, small, "cells: 3", "reduction: pooled").Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "reduction cells of their own") {
		t.Errorf("a reduction that the DARTS space does not have: %v", res.Err)
	}
	if res := training(t, small, "cells: 3", "stem: imagenet").Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "multiples of 32") {
		t.Errorf("the stem of ImageNet on images of 12x12: %v", res.Err)
	}
}
