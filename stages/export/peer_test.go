package export

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
)

// Where the task "precisions" has put what this needs.
const (
	peerRun    = "PLATEAU_TEST_PRECISIONS"        // the directory of a run with the stages data and train
	peerPython = "PLATEAU_TEST_PRECISIONS_PYTHON" // an interpreter with what testdata/precisions.py needs
)

// A trained network in int8 and float16 is as accurate, and as fast, as what ONNX Runtime's own tools make of it. The table that it prints
// is the measurement.
func TestPrecisionsBesidePeer(t *testing.T) {
	run, python := os.Getenv(peerRun), os.Getenv(peerPython)
	if run == "" || python == "" {
		t.Skipf("needs %s and %s; see the task precisions", peerRun, peerPython)
	}
	rt, dir := runtimetest.Open(t), t.TempDir()
	files := Files{Network: filepath.Join(run, "train", "network.json"), Weights: filepath.Join(run, "train", "weights.safetensors"), Dataset: filepath.Join(run, "data", "dataset.safetensors")}
	s, path := DefaultSettings(), filepath.Join(dir, "model.onnx")
	s.Also = Precisions()
	model, err := Write(t.Context(), runtimetest.Opener(t), path, files, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(dir, "theirs")
	if out, err := exec.Command(python, "testdata/precisions.py", path, files.Dataset, theirs, strconv.Itoa(s.CalibrationImages)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d, err := dataset.Load(files.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	var forms []*form
	for _, file := range []string{
		path, PrecisionFile(path, Int8), filepath.Join(theirs, "int8.onnx"), filepath.Join(theirs, "int8-defaults.onnx"), PrecisionFile(path, Float16), filepath.Join(theirs, "float16.onnx"),
	} {
		f, o := &form{precision: Precision(strings.TrimPrefix(file, dir)), path: file}, evaluate.DefaultOptions()
		o.Input, o.Output, o.Scores, o.LatencyRuns = s.Input, s.output(), s.scores(), 0
		o.Predicted = func(_, class int) { f.predicted = append(f.predicted, class) }
		if f.test, err = evaluate.Model(t.Context(), rt, file, d.Test, d.Classes, o); err != nil {
			t.Fatal(err)
		}
		forms = append(forms, f)
	}
	p, err := model.sideBySide(t.Context(), rt, forms, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, %d threads, %d parameters, %d test images, %d calibration images", p.Library, p.Threads, model.cost.Parameters, p.Images, s.CalibrationImages)
	for _, m := range p.Models {
		t.Logf("%-28s %8d bytes, top-1 %.2f%%, %3d in another class (%d gained, %d lost, p %.2g), %.3f ms one image, %.3f ms an image in batches of %d",
			m.Name, m.SizeBytes, 100*m.Top1, m.Changed, m.Gained, m.Lost, m.P, m.LatencyMS, m.BatchLatencyMS, p.Batch)
	}
	at := func(name string) *result.Precision {
		m := p.Of(name)
		if m == nil {
			t.Fatalf("%s was not measured", name)
		}
		return m
	}
	for ours, theirs := range map[string]string{"/model.int8.onnx": "/theirs/int8.onnx", "/model.float16.onnx": "/theirs/float16.onnx"} {
		a, b := at(ours), at(theirs)
		// What so many changed images leave to chance: about twice the standard error of how many of them are right.
		if slack := 2 * math.Sqrt(float64(a.Changed+b.Changed+1)) / float64(p.Images); a.Top1 < b.Top1-slack {
			t.Errorf("%s: accuracy %v, theirs %v", ours, a.Top1, b.Top1)
		}
		if a.BatchLatencyMS > 1.15*b.BatchLatencyMS {
			t.Errorf("%s: %.3f ms an image, theirs %.3f", ours, a.BatchLatencyMS, b.BatchLatencyMS)
		}
	}
}
