package supernet_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func genotype(t *testing.T, name string) space.Genotype {
	t.Helper()
	g, err := space.GenotypeByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The counts of the reference code (quark0/darts), the auxiliary head excluded, as in the papers.
func TestGenotypeParameterCountsEqualThePublishedOnes(t *testing.T) {
	cifar := supernet.DARTSMacro{Channels: 36, Layers: 20, Classes: 10, Image: [3]int{3, 32, 32}}
	imageNet := supernet.DARTSMacro{Channels: 48, Layers: 14, Classes: 1000, Image: [3]int{3, 224, 224}, Stem: supernet.StemImageNet}
	for _, c := range []struct {
		genotype  string
		macro     supernet.DARTSMacro
		want      int
		auxiliary int // weights of the head: two convolutions, their normalization, a linear layer
	}{
		{"DARTS_V1", cifar, 3169414, 576*128 + 2*128 + 128*768*4 + 2*768 + 769*10},
		{"DARTS_V2", cifar, 3349342, 576*128 + 2*128 + 128*768*4 + 2*768 + 769*10},
		{"DARTS_V2", imageNet, 4718752, 768*128 + 2*128 + 128*768*4 + 769*1000},
	} {
		n := supernet.GenotypeNetwork{Genotype: genotype(t, c.genotype), Macro: c.macro}
		ix, _, err := n.Indexes(false)
		if err != nil {
			t.Fatal(err)
		}
		if ix.Total() != c.want {
			t.Errorf("%s in %+v has %d parameters, published %d", c.genotype, c.macro, ix.Total(), c.want)
		}
		with, _, err := n.Indexes(true)
		if err != nil {
			t.Fatal(err)
		}
		if got := with.Total() - ix.Total(); got != c.auxiliary {
			t.Errorf("%s in %+v: the auxiliary head has %d parameters instead of %d", c.genotype, c.macro, got, c.auxiliary)
		}
	}
}

// What PyTorch counts in the same supernet.
func TestDARTSSupernetParameterCount(t *testing.T) {
	sn, err := supernet.NewDARTS(supernet.DARTSMacro{Channels: 8, Layers: 4, Classes: 10, Image: [3]int{3, 32, 32}})
	if err != nil {
		t.Fatal(err)
	}
	if sn.Index.Total() != 347298 {
		t.Errorf("%d parameters instead of 347298", sn.Index.Total())
	}
}

func TestDARTSGraphsHaveTheSameBytesEachTime(t *testing.T) {
	macro := supernet.DARTSMacro{Channels: 2, Layers: 2, Classes: 10, Image: [3]int{3, 8, 8}}
	training := supernet.Training{Batch: 2, Momentum: 0.9}
	made := func() map[string]build {
		sn, err := supernet.NewDARTS(macro)
		if err != nil {
			t.Fatal(err)
		}
		net := supernet.GenotypeNetwork{Genotype: genotype(t, "PC_DARTS_cifar"), Macro: macro}
		return map[string]build{
			"supernet":     func() (*onnx.ModelProto, error) { return sn.Forward(2) },
			"joint_step":   func() (*onnx.ModelProto, error) { return sn.JointStep(training) },
			"network_step": func() (*onnx.ModelProto, error) { return net.TrainStep(supernet.GenotypeTraining{Training: training}) },
			"network":      func() (*onnx.ModelProto, error) { return net.Forward(2) },
		}
	}
	again := made()
	for name, b := range made() {
		if first := bytesOf(t, b); first != bytesOf(t, b) || first != bytesOf(t, again[name]) {
			t.Errorf("%s: the bytes differ", name)
		}
	}
}

func TestDARTSMacroMistakes(t *testing.T) {
	good := supernet.DARTSMacro{Channels: 4, Layers: 2, Classes: 10, Image: [3]int{3, 8, 8}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*supernet.DARTSMacro)
		want   string
	}{
		{func(m *supernet.DARTSMacro) { m.Channels = 0 }, "0 channels; at least 1 is needed"},
		{func(m *supernet.DARTSMacro) { m.Layers = 0 }, "0 layers; at least 1 is needed"},
		{func(m *supernet.DARTSMacro) { m.Classes = 1 }, "1 classes"},
		{func(m *supernet.DARTSMacro) { m.Image[1] = 18 }, "multiples of 4 from 8 up"},
		{func(m *supernet.DARTSMacro) { m.Stem = "imagenet" }, "multiples of 32 from 64 up"},
		{func(m *supernet.DARTSMacro) { m.Stem, m.Channels = "imagenet", 3 }, "give an even number"},
		{func(m *supernet.DARTSMacro) { m.Stem = "cifar10" }, `unknown stem "cifar10": known are cifar and imagenet`},
	} {
		m := good
		c.change(&m)
		if _, err := supernet.NewDARTS(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v does not say %q", m, err, c.want)
		}
	}
	net := supernet.GenotypeNetwork{Genotype: genotype(t, "DARTS_V1"), Macro: good}
	if _, _, err := net.Indexes(true); err == nil || !strings.Contains(err.Error(), "leave the head out") {
		t.Errorf("an auxiliary head on small images: %v", err)
	}
	net.Genotype.Reduce[1][0].Op = "none"
	if _, err := net.Forward(2); err == nil || !strings.Contains(err.Error(), "reduce cell, node 3") {
		t.Errorf("a genotype with an operation that computes nothing: %v", err)
	}
}

// In use each image is classified by itself, whatever the batch; in both skeletons.
func TestGenotypeNetworkInUse(t *testing.T) {
	rt := runtimetest.Open(t)
	for _, macro := range []supernet.DARTSMacro{
		{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 8, 8}},
		{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 64, 64}, Stem: supernet.StemImageNet},
	} {
		net := supernet.GenotypeNetwork{Genotype: genotype(t, "PC_DARTS_cifar"), Macro: macro}
		ix, stats, err := net.Indexes(false)
		if err != nil {
			t.Fatal(err)
		}
		running := stats.Initialize(rand.New(rand.NewPCG(1, 1)))
		use := session(t, rt, func() (*onnx.ModelProto, error) { return net.Inference(torchtest.Fill(ix), running) })
		size := macro.Image[1]
		pixels := torchtest.Noise(1, 2*3*size*size)
		logits := func(from, to int) []float32 {
			in := vector(pixels[from*3*size*size:to*3*size*size], int64(to-from), 3, int64(size), int64(size))
			return use(map[string]runtime.Tensor{"images": in})["logits"].Data.([]float32)
		}
		both, first, second := logits(0, 2), logits(0, 1), logits(1, 2)
		if len(both) != 20 || both[0] == both[10] {
			t.Fatalf("the logits are %v", both)
		}
		closeTo(t, "logits", both, append(first, second...), 1e-5)
		if _, err := net.Inference(torchtest.Fill(ix)[1:], running); err == nil || !strings.Contains(err.Error(), "but was given") {
			t.Errorf("too few weights: %v", err)
		}
	}
}
