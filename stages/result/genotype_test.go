package result_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

func TestGenotypesAreWrittenInPythonToo(t *testing.T) {
	s := space.DARTS()
	a, err := s.Parse("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "architecture.json")
	out := result.NewArchitecture(s, a)
	if err := result.WriteArchitecture(path, out); err != nil {
		t.Fatal(err)
	}
	in, err := result.ReadArchitecture(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Parse(in.Genotype); err != nil || !b.Equal(a) || !strings.HasPrefix(in.Genotype, "Genotype(normal=") || len(in.Operations) != 16 {
		t.Errorf("%+v, %v", in, err)
	}
	out.Genotype = "DARTS_V1"
	if err := result.WriteArchitecture(path, out); err == nil || !strings.Contains(err.Error(), "the genotype is DARTS_V1, but the architecture normal s3:0") {
		t.Error(err)
	}
}
