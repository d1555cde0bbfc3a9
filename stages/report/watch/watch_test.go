package watch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/report/watch"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A run of three stages, of which the first has ended.
func newRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, &pipeline.RunFile{
		Format: 1, Run: "toy", Status: pipeline.StatusRunning, Started: time.Now(),
		Stages: []pipeline.RunStage{
			{ID: "data", Kind: "dataset", Status: pipeline.StatusDone, Settings: json.RawMessage(`{}`)},
			{ID: "search", Kind: "search", Status: pipeline.StatusRunning, Settings: json.RawMessage(`{"space":"nasbench201"}`), Inputs: []pipeline.RunInput{{Source: "data.dataset"}}},
			{ID: "report<b>", Kind: "report", Status: pipeline.StatusNotRun, Inputs: []pipeline.RunInput{{Source: "data.dataset"}, {Source: "search.architecture"}}},
		},
	})
	if err := os.MkdirAll(filepath.Join(dir, ".plateau"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".plateau", "pid"), fmt.Append(nil, os.Getpid()), 0o666); err != nil {
		t.Fatal(err)
	}
	emit(t, dir,
		event.Event{Type: event.RunStarted}, event.Event{Type: event.StageReused, Stage: "data", Kind: "dataset", Message: "nothing has changed"},
		event.Event{Type: event.StageStarted, Stage: "search", Kind: "search", Message: "it has not run before"},
		event.Event{Type: event.StageLog, Stage: "search", Level: "warn", Message: "<script>alert(1)</script>"},
		epoch(1, "none"), epoch(2, "skip_connect"),
	)
	return dir
}

// epoch is what a search by gradients says after an epoch.
func epoch(n int, op string) event.Event {
	s := space.NASBench201()
	t := event.Table{Name: "edge probabilities", Columns: s.Operations}
	for e := range s.Edges {
		t.Rows, t.Values = append(t.Rows, s.EdgeName(e)), append(t.Values, []float64{0.1, 0.2, 0.4321, 0.2, 0.1})
	}
	arch := fmt.Sprintf("|%[1]s~0|+|nor_conv_3x3~0|%[1]s~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|", op)
	return event.Event{Type: event.StageProgress, Stage: "search", Progress: &event.Progress{
		Phase: "search", Done: n, Total: 4, Unit: "epoch", Final: true, Note: arch, Tables: []event.Table{t}, Rate: 12, Remaining: 60,
		Values: []event.Value{{Name: "train_loss", Value: 2 / float64(n)}, {Name: "train_accuracy", Value: 0.2 * float64(n)}, {Name: "alpha_entropy", Value: 1.5}},
	}}
}

func emit(t *testing.T, dir string, events ...event.Event) {
	t.Helper()
	f, err := event.OpenFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		e.Time, e.Run = time.Now(), "toy"
		f.Emit(e)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir string, f *pipeline.RunFile) {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// serve follows the run directory and serves its page.
func serve(t *testing.T, dir string) string {
	t.Helper()
	p, err := watch.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Follow(ctx, 10*time.Millisecond) }()
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return server.URL
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(body)
}

func TestThePageShowsWhatIsKnown(t *testing.T) {
	page := get(t, serve(t, newRun(t))+"/")
	for _, want := range []string{
		"<h1>toy</h1>", "search epoch 2 of 4", "12 steps/s", "1m00s left", "aria-valuenow=\"50\"", "train loss", "Accuracy", "Alpha entropy",
		"|skip_connect~0|", "0.43", "Evolution", "after epoch 2", "&lt;script&gt;alert(1)", "report&lt;b&gt;", `class="node running"`, `class="node reused"`,
		`<section id="neighborhood" hidden>`, `<a href="#neighborhood" hidden>`, `<a href="#curves">`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(page, "<h1>"); n != 1 {
		t.Errorf("the page has %d headings", n)
	}
	for _, no := range []string{"<script>alert", "http://plateau", "https://", "report<b>"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestOnlyThisMachineIsServed(t *testing.T) {
	p, err := watch.New(newRun(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "127.0.0.1:1234", "/", 200}, {"GET", "localhost:80", "/watch.js", 200}, {"GET", "[::1]:80", "/", 200}, {"GET", "localhost", "/nothing", 404},
		{"GET", "example.com", "/", 403}, {"GET", "127.0.0.1.example.com:80", "/events", 403}, {"POST", "localhost", "/", 405},
	} {
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, nil)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s%s: %d, want %d", c.method, c.host, c.path, w.Code, c.want)
		}
		if csp := w.Header().Get("Content-Security-Policy"); w.Code == 200 && !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", c.path, csp)
		}
	}
}

// events reads server-sent parts.
func events(t *testing.T, url string) func() (id, html string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	if typ := resp.Header.Get("Content-Type"); typ != "text/event-stream" {
		t.Fatalf("content type %q", typ)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (string, string) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var p struct{ ID, HTML string }
				if err := json.Unmarshal([]byte(data), &p); err != nil {
					t.Fatal(err)
				}
				return p.ID, p.HTML
			}
		}
	}
}

func TestEveryChangeIsSent(t *testing.T) {
	dir := newRun(t)
	next := events(t, serve(t, dir))
	var ids []string
	for range 6 {
		id, _ := next()
		ids = append(ids, id)
	}
	if got := strings.Join(ids, " "); got != "run stages curves-search cell-search neighborhood log" {
		t.Errorf("parts at first: %s", got)
	}
	await := func(id, text string) {
		t.Helper()
		for {
			if got, html := next(); got == id && strings.Contains(html, text) {
				return
			}
		}
	}
	emit(t, dir, epoch(3, "avg_pool_3x3"))
	await("cell-search", "after epoch 3")

	// A ranking that is there is shown.
	s := space.NASBench201()
	var finalists []result.Finalist
	for i, text := range []string{"none", "skip_connect"} {
		a := s.Format(space.Architecture{i, 3, 1, 0, 2, 4})
		finalists = append(finalists, result.Finalist{
			Architecture: a, OwnScore: -1.25 - float64(i), Aggregate: -1.5, Min: -3, Max: -1, Worst: result.Neighbor{Architecture: a, Score: -3}, Neighbors: 24,
			RankOwn: i + 1, RankNeighborhood: i + 1,
		})
		_ = text
	}
	if err := os.MkdirAll(filepath.Join(dir, "rank"), 0o777); err != nil {
		t.Fatal(err)
	}
	ranking := &result.Ranking{Space: s.Name, Aggregate: result.Settings{"aggregate": "mean"}, Radius: 1, Finalists: finalists}
	if err := result.WriteRanking(filepath.Join(dir, "rank", "ranking.json"), ranking); err != nil {
		t.Fatal(err)
	}
	write(t, dir, &pipeline.RunFile{Format: 1, Run: "toy", Stages: []pipeline.RunStage{
		{ID: "search", Kind: "search"}, {ID: "rank", Kind: "neighborhood", Status: pipeline.StatusDone, Outputs: []store.Output{{Type: "ranking", File: "ranking.json"}}},
	}})
	await("neighborhood", "-1.2500")

	// Half a line is left for later; another run begins anew.
	path := filepath.Join(dir, "events.jsonl")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"time":"2026-03-01T12:00:00Z","type":"stage_log","run":"toy","stage":"search",`); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if _, err := f.WriteString("\"level\":\"info\",\"message\":\"whole at last\"}\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	await("log", "whole at last")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	await("curves-search", "")
	emit(t, dir, event.Event{Type: event.RunStarted}, event.Event{Type: event.StageLog, Stage: "search", Level: "info", Message: "anew"}, event.Event{Type: event.RunFinished, Message: "done", Seconds: 3})
	await("run", ">done<")
}

// A stage that continues keeps its curve up to there; one that begins anew starts an empty one.
func TestCurvesContinueWithTheirStage(t *testing.T) {
	dir := newRun(t)
	started := event.Event{Type: event.StageStarted, Stage: "search", Kind: "search"}
	emit(t, dir, event.Event{Type: event.RunStarted}, started, event.Event{Type: event.StageResumed, Stage: "search", Kind: "search"}, epoch(2, "none"))
	url := serve(t, dir)
	if page := get(t, url+"/"); !strings.Contains(page, "Evolution") {
		t.Error("the first epoch is forgotten")
	}
	next := events(t, url)
	emit(t, dir, event.Event{Type: event.RunStarted}, started, epoch(1, "none"))
	for {
		if id, html := next(); id == "cell-search" && strings.Contains(html, "after epoch 1") {
			if strings.Contains(html, "Evolution") {
				t.Error("the epochs of another attempt are shown")
			}
			return
		}
	}
}

func TestARunThatHasNotBegunIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	url := serve(t, dir)
	if page := get(t, url+"/"); !strings.Contains(page, "waiting for its first event") {
		t.Error("it does not say that it waits")
	}
}

// The page in a browser: its script runs under the page's own policy, and what comes later is shown.
func TestTheBrowserShowsWhatComesLater(t *testing.T) {
	dir := newRun(t)
	b := browsertest.Open(t)
	b.Visit(serve(t, dir) + "/")
	b.Await("Evolution")
	b.Await("live") // the connection stands
	emit(t, dir, event.Event{Type: event.StageLog, Stage: "search", Level: "info", Message: "came later"})
	b.Await("came later")
}

// A finished stage says in a line what it did, and not why it ran: by what it counted, its summary, its latest words, or its files.
func TestFinishedStagesSayWhatTheyDid(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, &pipeline.RunFile{Format: 1, Run: "toy", Status: pipeline.StatusDone, Stages: []pipeline.RunStage{
		{ID: "data", Kind: "dataset", Status: pipeline.StatusDone, Cached: true, Summary: "shapes: 6,000 images", Metrics: []event.Value{{Name: "images", Value: 6000}}},
		{ID: "supernet", Kind: "supernet", Status: pipeline.StatusDone}, {ID: "rank", Kind: "neighborhood", Status: pipeline.StatusDone},
		{ID: "train", Kind: "train", Status: pipeline.StatusDone},
		{ID: "report", Kind: "report", Status: pipeline.StatusDone, Outputs: []store.Output{{Type: "report", File: "report.html"}, {Type: "page", File: "more.txt"}}},
		{ID: "broken", Kind: "train", Status: pipeline.StatusFailed},
	}})
	step := func(id string, events ...event.Event) (out []event.Event) {
		out = append(out, event.Event{Type: event.StageStarted, Stage: id, Message: "it has not run before"})
		for _, e := range events {
			e.Stage = id
			out = append(out, e)
		}
		if id == "broken" {
			return append(out, event.Event{Type: event.StageFailed, Stage: id, Message: "no images"})
		}
		return append(out, event.Event{Type: event.StageFinished, Stage: id, Seconds: 2})
	}
	progress := func(unit string, done int) event.Event {
		return event.Event{Type: event.StageProgress, Progress: &event.Progress{Unit: unit, Done: done, Total: done, Final: true}}
	}
	emit(t, dir, event.Event{Type: event.RunStarted}, event.Event{Type: event.StageReused, Stage: "data", Message: "nothing has changed"})
	emit(t, dir, step("supernet", event.Event{Type: event.StageLog, Level: "info", Message: "99378 shared parameters"}, event.Event{Type: event.StageLog, Level: "warn", Message: "slow"})...)
	emit(t, dir, step("rank", progress("architecture", 88), event.Event{Type: event.StageSummary, Message: "|none~0|\nin ── out\nneighborhood -1.3 over 24 neighbors"})...)
	emit(t, dir, step("train", progress("epoch", 39), progress("epoch", 40), event.Event{Type: event.StageSummary, Message: "training accuracy 96.83%"})...)
	emit(t, dir, step("report")...)
	emit(t, dir, step("broken")...)
	page := get(t, serve(t, dir)+"/")
	for _, want := range []string{
		">reused</span><span class=\"what\">shapes: 6,000 images<small>images 6000</small>", ">99378 shared parameters</span>", ">scored 88 architectures; chose |none~0|: neighborhood -1.3 over 24 neighbors</span>",
		">trained 40 epochs; training accuracy 96.83%</span>", `>wrote report.html and 1 other file <a href="files/report/report.html">report.html</a></span>`, ">no images</span>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page[strings.Index(page, "<h2>Stages"):])
		}
	}
	if strings.Contains(page, "it has not run before") {
		t.Error("a finished stage says why it ran")
	}
}
