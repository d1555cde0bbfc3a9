package watch_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/report/watch"
)

// emitMany writes many events quickly.
func emitMany(t testing.TB, dir string, events func(emit func(event.Event))) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	events(func(e event.Event) {
		start = start.Add(100 * time.Millisecond)
		e.Time, e.Run = start, "big"
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(append(line, '\n')) // Flush says
	})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// newMatrix is the run of a search and a training with 20 seeds of 10 methods, of which the last seeds wait and one fails.
func newMatrix(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f := &pipeline.RunFile{Format: 1, Run: "big", Status: pipeline.StatusRunning, Stages: []pipeline.RunStage{{ID: "data", Kind: "dataset", Status: pipeline.StatusDone, Summary: "60,000 images"}}}
	type variant struct {
		labels []pipeline.Label
		id     string
	}
	var variants []variant
	for seed := range 20 {
		for method := range 10 {
			labels := []pipeline.Label{{Axis: "seed", Value: fmt.Sprint(seed + 1)}, {Axis: "method", Value: fmt.Sprintf("method_%d", method)}}
			variants = append(variants, variant{labels, fmt.Sprintf("%d-method_%d", seed+1, method)})
		}
	}
	for i, v := range variants {
		status, outputs := pipeline.StatusDone, []store.Output{{Type: "report", File: "report.html"}, {Type: "weights", File: "weights.safetensors"}}
		if i >= 150 {
			status, outputs = pipeline.StatusRunning, nil
		}
		f.Stages = append(f.Stages,
			pipeline.RunStage{ID: "search@" + v.id, Template: "search", Labels: v.labels, Kind: "search", Status: status, Inputs: []pipeline.RunInput{{Source: "data.dataset"}}},
			pipeline.RunStage{ID: "train@" + v.id, Template: "train", Labels: v.labels, Kind: "train", Status: status, Inputs: []pipeline.RunInput{{Source: "search@" + v.id + ".architecture"}}, Outputs: outputs})
		if i == 3 {
			if err := os.MkdirAll(filepath.Join(dir, "train@"+v.id), 0o777); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"report.html": "<!doctype html><title>of one variant</title><p>its report", "weights.safetensors": "secret"} {
				if err := os.WriteFile(filepath.Join(dir, "train@"+v.id, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	f.Stages = append(f.Stages, pipeline.RunStage{ID: "compare", Kind: "compare", Inputs: []pipeline.RunInput{{Source: "train@1-method_0.weights"}, {Source: "train@1-method_1.weights"}}})
	write(t, dir, f)
	if err := os.MkdirAll(filepath.Join(dir, ".plateau"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".plateau", "pid"), fmt.Append(nil, os.Getpid()), 0o666); err != nil {
		t.Fatal(err)
	}
	emitMany(t, dir, func(emit func(event.Event)) {
		emit(event.Event{Type: event.RunStarted})
		for i, v := range variants[:160] {
			for _, kind := range []string{"search", "train"} {
				id := kind + "@" + v.id
				emit(event.Event{Type: event.StageStarted, Stage: id, Kind: kind, Message: "it has not run before"})
				epochs := 20
				if i >= 150 {
					epochs = 7
				}
				for e := range epochs {
					emit(event.Event{Type: event.StageProgress, Stage: id, Progress: &event.Progress{Phase: kind, Unit: "epoch", Done: e + 1, Total: 20, Final: true, Values: []event.Value{
						{Name: "train_loss", Value: 2.5*math.Exp(-float64(e)/8) + float64(i%10)/20}, {Name: "valid_accuracy", Value: 1 - math.Exp(-float64(e+1)/(4+float64(i%10)))},
					}}})
				}
				if i >= 150 {
					break
				}
				if i == 20 && kind == "train" {
					emit(event.Event{Type: event.StageFailed, Stage: id, Kind: kind, Seconds: 3, Message: "the loss is no number after epoch 20"})
					continue
				}
				emit(event.Event{Type: event.StageMetric, Stage: id, Values: []event.Value{{Name: "own_score", Value: -float64(i) / 100}}})
				if kind == "train" {
					emit(event.Event{Type: event.StageMetric, Stage: id, Values: []event.Value{{Name: "test_top1", Value: 0.5 + float64(i)/400}, {Name: "parameters", Value: float64(10_000 + i)}}})
				}
				emit(event.Event{Type: event.StageFinished, Stage: id, Kind: kind, Seconds: 10 + float64(i)})
			}
		}
	})
	return dir
}

// A matrix of 200 variants is a table: a row a variant, that sorts and filters by mouse and keyboard, with links to the reports that are
// there, and with the curves of those that are chosen.
func TestAMatrixIsATable(t *testing.T) {
	dir := newMatrix(t)
	url := serve(t, dir)
	if page := get(t, url+"/"); !strings.Contains(page, "150 of 200 done, 10 running, 40 waiting") || !strings.Contains(page, "149 of 200 done, 1 failed, 50 waiting") || !strings.Contains(page, "×200") {
		t.Errorf("the stages with a matrix are not counted:\n%s", page)
	}
	b := browsertest.Open(t)
	b.Visit(url + "/")
	b.Await("200 variants")
	is := func(expression, want string) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			got := b.Eval(expression)
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %q, want %q", expression, got, want)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	heads := `[...document.querySelectorAll("#variants thead th")].map((h) => h.textContent).join("|")`
	is(heads, "curves|seed|method|state|test top1|valid accuracy|own score|parameters|train loss|time|pages")
	column := func(i int) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#variants tbody tr")].slice(0, 4).map((r) => r.children[%d].textContent).join("|")`, i)
	}
	is(column(4), "0.5000|0.5025|0.5050|0.5075")
	// By keyboard: twice, so that the best is first; those without a number are last either way.
	b.Eval(`document.querySelectorAll("#variants thead button")[3].focus()`)
	b.Press("Enter")
	is(`document.querySelector("#variants [aria-sort]").textContent + document.querySelector("#variants [aria-sort]").getAttribute("aria-sort")`, "test top1ascending")
	b.Press("Enter")
	is(`document.querySelector("#variants [aria-sort]").getAttribute("aria-sort")`, "descending")
	is(column(4), "0.8725|0.8700|0.8675|0.8650")
	// By mouse, a text: numbers in it count as such.
	b.Eval(`document.querySelectorAll("#variants thead button")[0].click()`)
	is(column(1), "1|1|1|1")
	filter := func(text string) {
		b.Eval(fmt.Sprintf(`(() => { const f = document.querySelector("#variants input[type=search]"); f.value = %q; f.dispatchEvent(new Event("input")); })()`, text))
	}
	filter("failed")
	is(`document.querySelector("#variants [role=status]").textContent`, "1 of 200 variants")
	is(column(3), "failed train: the loss is no number after epoch 20")
	filter("method=method_3 seed=1")
	is(column(1), "1|10|11|12")
	b.Eval(`document.querySelector("#variants tbody input").focus()`)
	b.Press(" ")
	b.Eval(`document.querySelectorAll("#variants tbody input")[1].click()`)
	is(`[...document.querySelectorAll("#variants .keys li")].map((l) => l.textContent.trim()).join("|")`, "1, method_3 94.3%|10, method_3 94.3%")
	is(`document.querySelectorAll("#variants figure path[fill=none]").length`, "2")
	is(`document.querySelector("#variants select").value`, "train/epoch/valid_accuracy")
	b.Eval(`(() => { const s = document.querySelector("#variants select"); s.value = "search/epoch/train_loss"; s.dispatchEvent(new Event("change")); })()`)
	is(`document.querySelector("#variants figcaption b").textContent`, "train loss")
	b.Look("matrix")

	// What happens comes into the rows, and leaves filter, order and choice as they are.
	emit(t, dir, event.Event{Type: event.StageMetric, Stage: "train@10-method_3", Values: []event.Value{{Name: "test_top1", Value: 0.99}}})
	is(column(4), "0.5075|0.9900|0.7575|0.7825")
	is(`document.querySelectorAll("#variants .keys li").length`, "2")

	is(`document.querySelector("#variants tbody tr td:last-child a").getAttribute("href")`, "files/train@1-method_3/report.html")
	if page := get(t, url+"/files/train@1-method_3/report.html"); !strings.Contains(page, "its report") {
		t.Errorf("the report is %q", page)
	}
	for _, path := range []string{"train@1-method_3/weights.safetensors", "train@1-method_3/../../run.json", "run.json", "train@16-method_0/report.html", "/etc/passwd"} {
		r, err := http.Get(url + "/files/" + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

// A stage with 175 metrics shows a few, and all in a table that sorts and filters.
func TestManyMetricsAreATable(t *testing.T) {
	dir := t.TempDir()
	emitMany(t, dir, func(emit func(event.Event)) {
		emit(event.Event{Type: event.RunStarted})
		emit(event.Event{Type: event.StageStarted, Stage: "compare", Kind: "compare"})
		for i := range 175 {
			v := event.Value{Name: fmt.Sprintf("mean_method_%d_truth", i), Value: float64(i*i%997) / 10}
			if i == 7 {
				v.Value = math.NaN()
			}
			emit(event.Event{Type: event.StageMetric, Stage: "compare", Values: []event.Value{v}})
		}
		emit(event.Event{Type: event.StageFinished, Stage: "compare", Kind: "compare", Seconds: 3})
		emit(event.Event{Type: event.RunFinished, Message: "done", Seconds: 4})
	})
	url := serve(t, dir)
	if page := get(t, url+"/"); !strings.Contains(page, "and 169 more") || strings.Contains(page, "method_100_truth") {
		t.Error("the stage does not show a few of its metrics")
	}
	b := browsertest.Open(t)
	b.Visit(url + "/")
	b.Await("175 metrics")
	b.Eval(`document.querySelectorAll("#metrics thead button")[2].click()`)
	b.Eval(`document.querySelectorAll("#metrics thead button")[2].click()`)
	b.Await("mean_method_157_truth")
	if got := b.Eval(`document.querySelector("#metrics tbody tr").textContent + "|" + document.querySelector("#metrics tbody tr:last-child").textContent`); got != "comparemean_method_322_truth99.6|comparemean_method_7_truthNaN" && !strings.HasSuffix(got, "|comparemean_method_7_truthNaN") {
		t.Errorf("the table goes from %s", got)
	}
	b.Look("metrics")
}

// long is the run of a search that has said a hundred thousand things, half of them evaluations with a note and two values.
func long(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	emitMany(t, dir, func(emit func(event.Event)) {
		emit(event.Event{Type: event.RunStarted})
		emit(event.Event{Type: event.StageStarted, Stage: "search", Kind: "search", Message: "it has not run before"})
		for i := range n / 2 {
			score := math.Sin(float64(i)/5000) - float64(i%17)/50
			if i == n/4 {
				score = 7.25 // a single peak
			}
			arch := fmt.Sprintf("|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|%s~2|", []string{"nor_conv_1x1", "none"}[i/40%2])
			p := event.Progress{Phase: "search", Done: i, Total: n / 2, Unit: "evaluation", Rate: 31.41592, Remaining: float64(n-i) / 7}
			emit(event.Event{Type: event.StageProgress, Stage: "search", Progress: &p})
			whole := p
			whole.Done, whole.Final, whole.Note = i+1, true, arch
			whole.Values = []event.Value{{Name: "score", Value: score}, {Name: "best", Value: math.Min(score, 3)}}
			emit(event.Event{Type: event.StageProgress, Stage: "search", Progress: &whole})
			if i%1000 == 0 {
				emit(event.Event{Type: event.StageLog, Stage: "search", Level: "info", Message: fmt.Sprintf("%d evaluations", i)})
			}
		}
	})
	return dir
}

// A run that has said much opens at once: the page holds pictures of bounded size, and loses no peak.
func TestManyEventsMakeASmallPage(t *testing.T) {
	dir := long(t, 100_000)
	start := time.Now()
	url := serve(t, dir)
	page := get(t, url+"/")
	t.Logf("the server had the page after %v", time.Since(start).Round(time.Millisecond))
	if len(page) > 200_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	b := browsertest.Open(t)
	b.Visit(url + "/")
	b.Await("live")
	t.Logf("the page has %d KiB, and the browser had painted after %s ms", len(page)>>10, b.Eval(`Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime)`))
	// The peak is the top of the picture.
	if got := b.Eval(`[...document.querySelectorAll("#curves-search svg text")].map((x) => x.textContent).includes("8")`); got != "true" {
		t.Error("the peak is lost")
	}
	b.Look("long")
}

// BenchmarkOpen takes in 100,000 events and makes the page.
func BenchmarkOpen(b *testing.B) {
	dir := long(b, 100_000)
	for b.Loop() {
		if _, err := watch.New(dir); err != nil {
			b.Fatal(err)
		}
	}
}
