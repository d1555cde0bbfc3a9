package stages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/plateau-nas/plateau/stages/result"
)

// TestParetoDocument runs the shipped document at a small size, with a command of one's own that measures the size of the model's file.
func TestParetoDocument(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a shell script")
	}
	command := filepath.Join(t.TempDir(), "measure")
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho \"{\\\"latency_ms\\\": $(wc -c < \"$1\")}\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := runShipped(t, "pareto",
		"data.train_images=64", "data.test_images=20", "supernet.channels=2", "supernet.score_batch=16", "supernet.training.batch=16",
		"weights.epochs=2", "weights.warm_up=1", "front.budget=30", "front.evaluator.sharing.images=16", "small.budget=40", "small.evaluator.sharing.images=16",
		"proxies.budget=5", "proxies.evaluator.proxy.images=4", "measured.budget=3", "architecture.channels=4", "architecture.epochs=1",
		"variables.measure=true", fmt.Sprintf(`measured.evaluator.exec.command=[%q, "{model}"]`, command))
	front, err := result.ReadArchitecture(got.outputs["front.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	if !front.Candidates[0].Front || front.Candidates[0].Metrics["multiply_adds"] == 0 {
		t.Errorf("the first of the front is %+v", front.Candidates[0])
	}
	if p := got.metrics["small.parameters"]; p == 0 || p > 90000 {
		t.Errorf("small has %v parameters", p)
	}
	if size := got.metrics["measured.latency_ms"]; size < 1000 {
		t.Errorf("the command measured %v", size)
	}
	if got.metrics["proxies.synflow"] == 0 {
		t.Errorf("there is no proxy among %v", got.metrics)
	}
	for _, name := range []string{"export.model", "evaluate.metrics"} {
		if _, err := os.Stat(got.outputs[name]); err != nil {
			t.Error(err)
		}
	}
}
