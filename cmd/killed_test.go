package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// A whole run on tiny settings, long enough in search and training to be killed there.
const tiny = `
name: tiny
seed: 3
stages:
  data:
    kind: dataset
    settings: {source: shapes, size: 12, train_images: 160, test_images: 20, valid_fraction: 0.25}
  supernet:
    kind: supernet
    settings: {channels: 2, cells: 1, score_batch: 20, training: {batch: 10}}
  search:
    kind: search
    settings:
      epochs: 12
      weights: {warm_up: 3, learning_rate: 0.05}
      candidates: 4
      finalists: 2
      score_images: 20
      neighborhood: {samples: 2}
      augment: {crop: 1}
  neighborhood:
    kind: neighborhood
    inputs: {architecture: search}
    settings: {score_images: 20}
  train:
    kind: train
    inputs: {architecture: neighborhood}
    settings: {channels: 2, cells: 1, epochs: 60, learning_rate: 0.05, training: {batch: 10}, augment: {crop: 1}}
  export:
    kind: export
    inputs: {architecture: neighborhood}
  evaluate:
    kind: evaluate
  report:
    kind: report
    inputs: {architecture: neighborhood}
`

// The bytes of a result do not depend on whether the run was killed on the way, and a finished stage is not run again.
func TestKilledRunEndsWithTheSameBytes(t *testing.T) {
	runtimetest.Open(t) // the library is fetched here, if it must be, and not in a process that is killed
	dir := t.TempDir()
	doc := filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(doc, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	calm := filepath.Join(dir, "calm")
	start(t, doc, calm, filepath.Join(dir, "calm-store"), os.Kill, "", 0)

	killed, store := filepath.Join(dir, "killed"), filepath.Join(dir, "killed-store")
	start(t, doc, killed, store, os.Kill, "search", 2)
	start(t, doc, killed, store, os.Interrupt, "search", 4)
	start(t, doc, killed, store, os.Kill, "search", 7)
	start(t, doc, killed, store, os.Kill, "train", 5)
	start(t, doc, killed, store, os.Interrupt, "train", 10)
	start(t, doc, killed, store, os.Kill, "", 0)

	for _, name := range []string{
		"data/dataset.safetensors", "supernet/train_step.onnx", "search/architecture.json", "search/history.csv", "search/weights.safetensors",
		"search/scores.json", "neighborhood/ranking.json", "neighborhood/architecture.json", "train/weights.safetensors", "train/history.csv", "export/model.onnx",
	} {
		want, err := os.ReadFile(filepath.Join(calm, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(killed, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s of the killed run differs from that of the undisturbed one", name)
		}
	}
	starts := map[string]int{}
	for _, e := range events(t, killed) {
		if e.Type == event.StageStarted {
			starts[e.Stage]++
		}
	}
	if starts["data"] != 1 || starts["search"] != 4 || starts["train"] != 3 {
		t.Errorf("stages began %v; data should have run once, search four times, train three times", starts)
	}
}

// start runs the document; when a stage is given, the process gets the signal once that stage has finished so many epochs.
func start(t *testing.T, doc, dir, store string, signal os.Signal, stage string, epochs int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "run", doc, "--run-dir", dir, "--store", store, "--threads", "1")
	cmd.Env = append(os.Environ(), asPlateau+"=1")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if stage != "" {
				t.Fatalf("the run ended before %d epochs of %s had been seen: %v\n%s", epochs, stage, err, out.String())
			}
			if err != nil {
				t.Fatalf("the run failed: %v\n%s", err, out.String())
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
		for _, e := range events(t, dir) {
			if stage != "" && e.Type == event.StageProgress && e.Stage == stage && e.Progress.Unit == "epoch" && e.Progress.Done >= epochs {
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				<-done
				if signal == os.Interrupt {
					saysInterrupted(t, cmd, dir, out.String())
				}
				return
			}
		}
	}
}

// saysInterrupted fails the test unless a run that was interrupted says so, and nothing of an error.
func saysInterrupted(t *testing.T, cmd *exec.Cmd, dir, said string) {
	t.Helper()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d after an interrupt", code)
	}
	if !strings.Contains(said, "interrupted; the same command continues where this one stopped") || strings.Contains(said, "error") {
		t.Errorf("after an interrupt it says:\n%s", said)
	}
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var run struct{ Status pipeline.Status }
	if err := json.Unmarshal(data, &run); err != nil || run.Status != pipeline.StatusInterrupted {
		t.Errorf("the run is %q: %v", run.Status, err)
	}
}

// events reads the events of a run so far; a last line that is being written is left out.
func events(t *testing.T, dir string) []event.Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []event.Event
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			out = append(out, e)
		}
	}
	return out
}
