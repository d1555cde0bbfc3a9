package stages_test

import (
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

func customDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/custom.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A space that a document declares goes through every stage, and every file says what it is.
func TestCustomSpaceEndToEnd(t *testing.T) {
	res := runDocument(t, []byte(customDocument(t)))
	outputs, metrics := res.Outputs(), metricsByStage(res)
	found, err := result.ReadArchitecture(outputs["neighborhood.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	s, a, err := found.Parse()
	if err != nil || s.Name != "small-and-wide" || s.Size() != 125 || len(a) != 3 {
		t.Errorf("found %s in %+v: %v", found.Architecture, s, err)
	}
	ranking, err := result.ReadRanking(outputs["neighborhood.ranking"])
	if err != nil || ranking.Space != s.Reference() || ranking.Finalists[0].Neighbors != 12 {
		t.Errorf("%+v: %v", ranking, err)
	}
	m, err := onnx.Load(outputs["export.model"])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := space.ByName(onnx.Metadata(m)["plateau.space"]); err != nil || again.Reference() != s.Reference() {
		t.Errorf("the model says it is of %+v: %v", again, err)
	}
	if metrics["train.parameters"] != metrics["evaluate.parameters"] {
		t.Errorf("%v parameters in training, %v in use", metrics["train.parameters"], metrics["evaluate.parameters"])
	}
}

// Mistakes in a declaration are reported together, each at its line.
func TestMistakesInACustomSpaceOfADocument(t *testing.T) {
	text := strings.NewReplacer("sep_conv_3x3", "sep_con_3x3", "2<-0, 2<-1", "2<-1, 2<-0", "- max_pool_3x3", "- max_pool_4x4").Replace(customDocument(t))
	doc, err := pipeline.Load("custom.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	reg, err := stages.Registry(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = doc.Plan(t.Context(), reg, st, pipeline.PlanOptions{})
	if err == nil {
		t.Fatal("no mistake is found")
	}
	for _, want := range []string{
		`custom.yaml:17:29`, "2<-0 is out of order after 2<-1",
		`custom.yaml:22:13`, `did you mean "sep_conv_3x3"?`,
		`custom.yaml:24:13`, "a kernel of 4x4",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
}
