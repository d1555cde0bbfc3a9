package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// asWriter makes the test binary write runs into a store's history: the second process of a test. Its value is the store's folder.
const asWriter = "PLATEAU_TEST_HISTORY_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asWriter); dir != "" {
		if err := writeRuns(dir, "child", 20); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var began = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// example is the run file of a small run.
func example(name string, started time.Time) *pipeline.RunFile {
	return &pipeline.RunFile{
		Format: 1, Run: name, Status: pipeline.StatusDone, Seed: math.MaxUint64, File: name + ".yaml", Document: "stages: {}\n", Overrides: []string{"seed=1"},
		Version: "1.2.3", Started: started, Seconds: 12.5, Store: "/store",
		Stages: []pipeline.RunStage{
			{
				ID: "data", Kind: "dataset", Version: 2, Status: pipeline.StatusDone, Cached: true, Planned: pipeline.ActionReuse, Key: "ab",
				Settings: json.RawMessage(`{"source":"shapes","count":12345678901234567890}`), Outputs: []store.Output{},
			},
			{
				ID: "train", Kind: "train", Version: 1, Status: pipeline.StatusDone, Seconds: 12, Planned: pipeline.ActionRun, Seed: 7, Summary: "two\nlines",
				Settings: json.RawMessage(`{"rate":0.025,"neighborhood":{"radius":1,"kinds":["a","b"]},"grid":[{"x":1},{"x":null}]}`),
				Outputs:  []store.Output{{Name: "weights", Type: "weights", File: "weights.safetensors", Digest: "sha256:00", Size: 5}},
				Metrics:  []event.Value{{Name: "test_top1", Value: 0.5}, {Name: "loss", Value: math.NaN()}, {Name: "margin", Value: math.Inf(-1)}, {Name: "parameters", Value: 3}},
			},
		},
	}
}

// putRun leaves a run directory with the file as its run.json, known to the store.
func putRun(st *store.Store, dir string, f *pipeline.RunFile) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), text, 0o666); err != nil {
		return err
	}
	return st.PutRun(store.Run{Dir: dir, Document: f.Run})
}

// writeRuns records count runs in folders of their own.
func writeRuns(storeDir, prefix string, count int) error {
	st, err := store.Open(storeDir)
	if err != nil {
		return err
	}
	for i := range count {
		dir := filepath.Join(filepath.Dir(storeDir), fmt.Sprintf("%s-%d", prefix, i))
		if err := putRun(st, dir, example(prefix, began.Add(time.Duration(i)*time.Second))); err != nil {
			return err
		}
		h, err := history.Open(context.Background(), st, nil)
		if err != nil {
			return err
		}
		if err := h.Record(context.Background(), dir); err != nil {
			return err
		}
		if err := h.Close(); err != nil {
			return err
		}
	}
	return nil
}

func openStore(t *testing.T) (*store.Store, string) {
	t.Helper()
	root := t.TempDir()
	st, err := store.Open(filepath.Join(root, "a store, 100%? yes#"))
	if err != nil {
		t.Fatal(err)
	}
	return st, root
}

func open(t *testing.T, st *store.Store) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), st, func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func runs(t *testing.T, h *history.History, name string) []*history.Run {
	t.Helper()
	out, err := h.Runs(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What comes out of the database is what the run directory says.
func TestTheHistorySaysWhatTheRunDirectorySays(t *testing.T) {
	st, root := openStore(t)
	dir := filepath.Join(root, "run")
	if err := putRun(st, dir, example("doc", began)); err != nil {
		t.Fatal(err)
	}
	h := open(t, st)
	if err := h.Record(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	want, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*history.Run{want}, runs(t, h, "doc"), cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-directory +history:\n%s", diff)
	}
	var names []string
	for _, s := range want.Stages[1].Settings {
		names = append(names, s.Name+"="+string(s.Value))
	}
	if diff := cmp.Diff([]string{"grid[0].x=1", "grid[1].x=null", `neighborhood.kinds=["a","b"]`, "neighborhood.radius=1", "rate=0.025"}, names); diff != "" {
		t.Errorf("settings: -want +got:\n%s", diff)
	}
	if got := string(want.Stages[0].Settings[0].Value); got != "12345678901234567890" {
		t.Errorf("a large number became %s", got)
	}
	for _, text := range []string{want.ID, want.ID[:5], "doc"} {
		if found, err := h.Find(t.Context(), text); err != nil || len(found) != 1 || found[0].ID != want.ID {
			t.Errorf("finding %q: %v, %v", text, found, err)
		}
	}
	if found, err := h.Find(t.Context(), "%"); err != nil || len(found) != 0 {
		t.Errorf("a sign of SQL found %v, %v", found, err)
	}
}

func TestARunWhoseProcessIsGoneWasKilled(t *testing.T) {
	st, root := openStore(t)
	dir := filepath.Join(root, "run")
	f := example("doc", began)
	f.Status = pipeline.StatusRunning
	if err := putRun(st, dir, f); err != nil {
		t.Fatal(err)
	}
	h := open(t, st)
	if got := runs(t, h, "")[0].Status; got != history.StatusKilled {
		t.Errorf("without a process: %s", got)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".plateau"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".plateau", "pid"), fmt.Appendln(nil, os.Getpid()), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, h, "")[0].Status; got != pipeline.StatusRunning {
		t.Errorf("with a process: %s", got)
	}
}

func TestAChangedRunDirectoryIsReadAgain(t *testing.T) {
	st, root := openStore(t)
	dir := filepath.Join(root, "run")
	f := example("doc", began)
	f.Status = pipeline.StatusFailed
	if err := putRun(st, dir, f); err != nil {
		t.Fatal(err)
	}
	h := open(t, st)
	f.Status = pipeline.StatusDone
	if err := putRun(st, dir, f); err != nil {
		t.Fatal(err)
	}
	if err := h.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, h, ""); len(got) != 1 || got[0].Status != pipeline.StatusDone {
		t.Errorf("got %+v", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := h.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, h, ""); len(got) != 1 || !got[0].Gone() {
		t.Errorf("after its directory was removed: %+v", got)
	}
}

func TestTwoProcessesWriteAtOnce(t *testing.T) {
	st, root := openStore(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), asWriter+"="+st.Dir())
	var said bytes.Buffer
	child.Stderr = &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if err := writeRuns(st.Dir(), fmt.Sprintf("own%d", i), 10); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := child.Wait(); err != nil {
		t.Fatalf("the other process: %v\n%s", err, &said)
	}
	h := open(t, st)
	for name, want := range map[string]int{"own0": 10, "own1": 10, "child": 20} {
		got := runs(t, h, name)
		if len(got) != want {
			t.Errorf("%s: %d runs, want %d", name, len(got), want)
		}
		for _, r := range got {
			if len(r.Stages) != 2 || !strings.HasPrefix(r.Dir, root) {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

// Whatever happens to the file, what the run directories hold is known again.
func TestADamagedDatabaseIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"another file":   func([]byte) []byte { return []byte(strings.Repeat("no database\n", 500)) },
		"cut":            func(b []byte) []byte { return b[:len(b)/2] },
		"cut in a page":  func(b []byte) []byte { return b[:len(b)-100] },
		"empty":          func([]byte) []byte { return nil },
		"header":         func(b []byte) []byte { b[3] ^= 0xff; return b },
		"pages":          func(b []byte) []byte { clear(b[4096 : len(b)-1]); return b },
		"another layout": func(b []byte) []byte { b[63]++; return b }, // PRAGMA user_version
	} {
		t.Run(name, func(t *testing.T) {
			st, root := openStore(t)
			dir := filepath.Join(root, "run")
			if err := putRun(st, dir, example("doc", began)); err != nil {
				t.Fatal(err)
			}
			earlier := filepath.Join(dir, ".plateau", "runs")
			if err := os.MkdirAll(earlier, 0o777); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(example("doc", began.Add(-time.Hour)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(earlier, "20260301T110000.json"), text, 0o666); err != nil {
				t.Fatal(err)
			}
			h, err := history.Open(t.Context(), st, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := runs(t, h, "")
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(st.Dir(), "history.sqlite")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o666); err != nil {
				t.Fatal(err)
			}
			again := open(t, st)
			if err := again.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, runs(t, again, ""), cmpopts.EquateNaNs()); diff != "" || len(want) != 2 {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

func TestADamagedRunFileIsPassedOver(t *testing.T) {
	st, root := openStore(t)
	for i, text := range []string{"", "{", `{"format":9}`} {
		dir := filepath.Join(root, fmt.Sprint("bad", i))
		if err := putRun(st, dir, example("doc", began)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := history.Read(dir); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if err := putRun(st, filepath.Join(root, "good"), example("doc", began)); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, open(t, st), ""); len(got) != 1 {
		t.Errorf("%d runs, want the whole one", len(got))
	}
}

func TestDifferencesComeFirst(t *testing.T) {
	var list []*history.Run
	for i := range 2 {
		f := example("doc", began)
		if i == 1 {
			f.Stages[1].Settings = json.RawMessage(`{"rate":0.1,"neighborhood":{"radius":1,"kinds":["a","b"]},"extra":true}`)
			f.Stages[1].Metrics = f.Stages[1].Metrics[1:]
		}
		r, err := history.FromFile(t.TempDir(), f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	c := history.Compare(list)
	var got []string
	for _, row := range c.Settings {
		got = append(got, fmt.Sprintf("%s %s %v", row.Stage, row.Name, row.Differs))
	}
	for _, row := range c.Metrics {
		got = append(got, fmt.Sprintf("%s %s %v", row.Stage, row.Name, row.Differs))
	}
	want := []string{
		"train grid[0].x true", "train grid[1].x true", "train rate true", "train extra true", " seed false", " version false", "data count false",
		"data source false", "train neighborhood.kinds false", "train neighborhood.radius false",
		"train test_top1 true", "train loss false", "train margin false", "train parameters false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
