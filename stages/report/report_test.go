package report_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/report"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

func render(t testing.TB, c report.Content) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Render(&b, c); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.String())
	return b.String()
}

// wellFormed fails when an element is not closed, an attribute not quoted or a character not escaped.
func wellFormed(t testing.TB, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			at := int(d.InputOffset())
			t.Fatalf("%v, after %q", err, page[max(0, at-200):at])
		}
	}
}

// text is a page without its tags.
func text(page string) string {
	plain := regexp.MustCompile(`<style>.*?</style>|<wbr/>`).ReplaceAllString(strings.ReplaceAll(page, "\n", " "), "")
	plain = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(plain, " ")
	return strings.Join(strings.Fields(plain), " ")
}

func TestPageSaysWhatWasFound(t *testing.T) {
	c := example(t)
	page := text(render(t, c))
	for _, want := range []string{
		"An architecture for shapes", "95.5% top-1 accuracy on 1,000 test images of shapes", c.Architecture.Architecture,
		"Chosen by NA-DARTS from the search space nasbench201 as the best of 5 finalists",
		"Parameters 73,306", "Multiply-adds 10.8 M", "Model file 305 KiB", "Latency 0.60 ms", "Own score −0.529", "Neighborhood score −0.654 mean of its neighbors",
		"Spread 0.165", "Worst neighbor −1.324 out←in: conv 3×3 → none",
		"36 epochs of weight sharing", "train loss 0.368", "valid accuracy 86.5%", "Alpha entropy", "Edge probabilities",
		"3 of 24 single changes improve the score. Edge out←in matters most (mean change −0.27), edge out←2 least (−0.04).",
		"5 finalists, ranked by the mean of the scores of their neighbors within 1 changed edge. 118 architectures had to be scored.",
		"From scratch, 40 epochs", "Accuracy by class plain disk 99.0%", "plain triangle plain cross 7 7.0%",
		"The exported model has passed 3 checks.", "87 nodes, 54 initializers", "provider cpu", "library ONNX Runtime 1.27.0", "weights.learning_rate 0.025",
		"sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752", "21 Conv",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestPageSaysWhatIsComputed(t *testing.T) {
	c := example(t)
	s := space.NASBench201()
	a, err := s.Parse("|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|")
	if err != nil {
		t.Fatal(err)
	}
	c.Architecture = result.NewArchitecture(s, a)
	f := &c.Ranking.Finalists[c.Ranking.Winner]
	f.Architecture, f.Table = c.Architecture.Architecture, make([][]*float64, len(s.Edges))
	for e := range f.Table {
		for range s.Operations {
			f.Table[e] = append(f.Table[e], &f.OwnScore)
		}
	}
	page := text(render(t, c))
	// Nothing arrives at node 1, so what is on the two edges that leave it does not matter.
	for _, want := range []string{"It computes x + nor_conv_1x1(nor_conv_3x3(x)), as 64 other architectures of the space do.", "Same function 8 of 24"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := render(t, example(t))
	for _, m := range regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?([^"')> ]+)`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "data:image/png;base64,") && !strings.HasPrefix(m[1], "data:image/jpeg;base64,") {
			t.Errorf("the page reads %s", m[1])
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "@import") {
		t.Error("the page has a script or imports a style")
	}
	// html/template writes this where it does not trust a value.
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("a style or an address was refused")
	}
	if len(page) > 500_000 {
		t.Errorf("the page has %d bytes, want less than 500,000", len(page))
	}
}

func TestEqualContentGivesEqualBytes(t *testing.T) {
	first := render(t, example(t))
	if again := render(t, example(t)); again != first {
		t.Error("two pages of the same content differ")
	}
}

func TestPageLeavesOutWhatThereIsNot(t *testing.T) {
	page := render(t, report.Content{Images: 6, Architecture: result.NewArchitecture(space.NASBench201(), space.Architecture{1, 1, 1, 1, 1, 1})})
	for _, id := range []string{"search", "neighborhood", "ranking", "training", "test", "images", "checks"} {
		if strings.Contains(page, `id="`+id+`"`) {
			t.Errorf("there is a section %s", id)
		}
	}
	if !strings.Contains(text(page), "An architecture of nasbench201 Chosen from the search space nasbench201.") {
		t.Errorf("the page does not begin as it should: %s", text(page)[:200])
	}
	if err := report.Render(io.Discard, report.Content{}); err == nil {
		t.Error("a page of nothing was made")
	}
}

func TestNamesFromOutsideStayText(t *testing.T) {
	c := example(t)
	const hostile = `<script>alert("x")</script>`
	c.Title = hostile
	c.Metrics.PerClass[0].Class, c.Dataset.Classes[0], c.Dataset.Source = hostile, hostile, hostile
	c.Checks.Checks[0].Detail, c.Search[3].Phase, c.Architecture.Settings["x"] = hostile, hostile, hostile
	c.Model.Metadata["author"] = hostile
	page := render(t, c)
	if strings.Contains(page, "<script") {
		t.Error("a name became an element")
	}
}

func TestFailedCheckIsToldApart(t *testing.T) {
	c := example(t)
	c.Checks.Checks[1].Passed = false
	page := render(t, c)
	if !strings.Contains(page, `<li class="failed"><b>Independent decoder`) || !strings.Contains(text(page), "1 of 3 checks failed: do not use the exported model.") {
		t.Error("the page hides that a check failed")
	}
}

func TestManyClasses(t *testing.T) {
	c := example(t)
	c.Dataset, c.Metrics.PerClass, c.Metrics.Confusion = nil, nil, nil
	for i := range 100 {
		row := make([]int, 100)
		row[i], row[(i*7+1)%100] = 50+i%50, i%9
		c.Metrics.PerClass = append(c.Metrics.PerClass, result.ClassTop1{Class: "class " + string(rune('a'+i/10)) + string(rune('0'+i%10)), Count: 100, Top1: float64(row[i]) / 100})
		c.Metrics.Confusion = append(c.Metrics.Confusion, row)
	}
	page := render(t, c)
	if strings.Count(page, `style="width:`) != 20 {
		t.Error("with 100 classes every one is shown")
	}
	// The matrix is drawn: its diagonal, and what is confused.
	if n := strings.Count(page, "taken for class"); n < 180 || n > 200 || !strings.Contains(page, "<title>class a0 taken for class a0: 50 of 100</title>") {
		t.Errorf("the matrix has %d cells", n)
	}
	if len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestRankingOfAnotherSpaceIsRefused(t *testing.T) {
	c := example(t)
	c.Ranking.Space = "darts"
	if err := report.Render(io.Discard, c); err == nil || !strings.Contains(err.Error(), "the ranking of darts") {
		t.Errorf("error is %v", err)
	}
}

// files writes an example to a folder as the stages before the report do, and returns it as inputs.
func files(t *testing.T) map[string]pipeline.Artifact {
	t.Helper()
	c := example(t)
	inputs := map[string]pipeline.Artifact{}
	dir := t.TempDir()
	put := func(port string, kind pipeline.Type, name string, write func(path string) error) {
		path := filepath.Join(dir, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		inputs[port] = pipeline.Artifact{Type: kind, Path: path, Digest: "sha256:" + strings.Repeat("0f", 32), Stage: port, Kind: port}
	}
	put("architecture", "architecture", "architecture.json", func(p string) error { return result.WriteArchitecture(p, c.Architecture) })
	put("dataset", "dataset", "dataset.safetensors", func(p string) error { return c.Dataset.Save(p) })
	put("search_history", "history", "search.csv", func(p string) error { return result.WriteSearchHistory(p, c.Search) })
	put("ranking", "ranking", "ranking.json", func(p string) error { return result.WriteRanking(p, c.Ranking) })
	put("train_history", "history", "train.csv", func(p string) error { return result.WriteTrainHistory(p, c.Train) })
	put("metrics", "metrics", "metrics.json", func(p string) error { return result.WriteMetrics(p, c.Metrics) })
	put("checks", "checks", "checks.json", func(p string) error { return result.WriteChecks(p, c.Checks) })
	put("model", "model", "model.onnx", func(p string) error {
		m := &onnx.ModelProto{
			IrVersion: onnx.IRVersion, ProducerName: "plateau", OpsetImport: []*onnx.OperatorSetIdProto{{Version: onnx.Opset}},
			Graph: &onnx.GraphProto{
				Node:   []*onnx.NodeProto{{OpType: "Relu", Input: []string{"x"}, Output: []string{"y"}}},
				Input:  []*onnx.ValueInfoProto{onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 3}, "")},
				Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, []int64{-1, 3}, "")},
			},
		}
		return onnx.Save(p, m, onnx.SaveOptions{})
	})
	return inputs
}

func run(t *testing.T, inputs map[string]pipeline.Artifact) (string, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.html")
	job := pipeline.NewJob(pipeline.JobConfig{ID: "report", Scratch: t.TempDir(), Inputs: inputs, Outputs: map[string]string{"report": out}})
	if err := report.Kind().New().Run(context.Background(), job); err != nil {
		if _, statErr := os.Stat(out); statErr == nil {
			t.Error("a failed stage left a page")
		}
		return "", err
	}
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(page), nil
}

func TestStageMakesAPageOfFiles(t *testing.T) {
	inputs := files(t)
	page, err := run(t, inputs)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, page)
	for _, want := range []string{"95.5%", "36 epochs of weight sharing", "x: float [batch, 3]", "1 Relu", "From scratch, 40 epochs", "checks from checks"} {
		if !strings.Contains(text(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if again, err := run(t, inputs); err != nil || again != page {
		t.Errorf("the same files give another page (%v)", err)
	}
}

func TestHistoryOnTheOtherPortIsUnderstood(t *testing.T) {
	all := files(t)
	inputs := map[string]pipeline.Artifact{"architecture": all["architecture"], "search_history": all["train_history"], "train_history": all["train_history"]}
	page, err := run(t, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, `id="search"`) || !strings.Contains(page, `id="training"`) {
		t.Error("the history of a training is not shown as one")
	}
}

func TestBrokenInputNamesItsFile(t *testing.T) {
	inputs := files(t)
	for _, port := range slices.Sorted(maps.Keys(inputs)) {
		t.Run(port, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broken")
			if err := os.WriteFile(path, []byte("{\"broken"), 0o600); err != nil {
				t.Fatal(err)
			}
			inputs := maps.Clone(inputs)
			inputs[port] = pipeline.Artifact{Path: path}
			if _, err := run(t, inputs); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one that names %s", err, path)
			}
		})
	}
}

func TestKindFitsTheEngine(t *testing.T) {
	if _, err := pipeline.NewRegistry(report.Kind(), dataset.Kind()); err != nil {
		t.Error(err)
	}
	s := report.DefaultSettings()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	s.Images = 25
	var setting *pipeline.SettingError
	if err := s.Validate(); !errors.As(err, &setting) || setting.Path != "images" {
		t.Errorf("error is %v, want one about images", err)
	}
}
