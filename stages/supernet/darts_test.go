package supernet_test

import (
	"testing"

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
