package space

import (
	"slices"
	"strings"
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

// A plain network is written by its name, also in files, and is no space to search.
func TestPlainNetworks(t *testing.T) {
	s, err := ByName(Plain().Reference())
	if err != nil || s.Name != "plain" || slices.Contains(Names(), s.Name) {
		t.Fatal(s, err)
	}
	a, err := s.Parse("resnet9")
	if err != nil || s.Format(a) != "resnet9" || s.Size() != 1 || len(s.Neighbors(a, 3)) != 0 {
		t.Errorf("%v, %v, %d architectures", a, err, s.Size())
	}
	for text, want := range map[string]string{"resnet8": `did you mean "resnet9"?`, "resnet9~0": "want the end", "": "want one of resnet9"} {
		if _, err := s.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if got := s.Format(Architecture{3}); got != "?" {
		t.Error(got)
	}
	if _, err := (Declaration{Name: "plain", Nodes: 2, Operations: []string{"none", "nor_conv_3x3"}}).Space(); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Error(err)
	}
}
