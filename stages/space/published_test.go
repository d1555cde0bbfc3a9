package space

import (
	"slices"
	"testing"
)

func TestPublishedArchitectures(t *testing.T) {
	names := func(s *Space) (out []string) {
		for _, n := range s.Published() {
			if err := s.Check(n.Architecture); err != nil {
				t.Error(n.Name, err)
			}
			out = append(out, n.Name)
		}
		return out
	}
	if got := names(NASBench201()); !slices.Equal(got, []string{"resnet", "all_c3x3"}) {
		t.Error(got)
	}
	got := names(DARTS())
	slices.Sort(got)
	if want := GenotypeNames(); !slices.Equal(got, want) {
		t.Errorf("%v, genotypes are known of %v", got, want)
	}
	own, err := Declaration{Name: "mine", Nodes: 3, Operations: []string{"none", "nor_conv_3x3"}}.Space()
	if err != nil || len(own.Published()) != 0 {
		t.Error(names(own), err)
	}
}
