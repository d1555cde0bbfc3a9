package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A pipeline without a search: a given architecture is trained for an epoch.
const trainOne = `
seed: 1
stages:
  data:
    kind: dataset
    settings: {source: shapes, size: 12, train_images: 60, test_images: 40}
  architecture:
    kind: architecture
    settings: {space: nasbench201, genotype: '|nor_conv_1x1~0|+|skip_connect~0|none~1|+|none~0|none~1|nor_conv_3x3~2|'}
  train:
    kind: train
    settings: {channels: 2, cells: 1, epochs: 1, training: {batch: 20}}
  export:
    kind: export
`

func TestExportWritesWhatTheStageWrites(t *testing.T) {
	dir := t.TempDir()
	document, run := filepath.Join(dir, "one.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(document, []byte(trainOne), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, said, err := call(t, "run", document, "--store", filepath.Join(dir, "store"), "--run-dir", run); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	want, err := os.ReadFile(filepath.Join(run, "export", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(run, "data", "dataset.safetensors")
	weights := filepath.Join(run, "train", "weights.safetensors")
	exportAs := func(args ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "model.onnx")
		if _, said, err := call(t, append([]string{"export", "-o", path}, args...)...); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) != (len(args) == 1) {
			t.Errorf("export %s: equal to the stage's file: %v", strings.Join(args, " "), bytes.Equal(got, want))
		}
	}
	exportAs(run)
	// Those know less: how training ended, and where the architecture is from.
	exportAs(filepath.Join(run, "train", "network.json"), "--dataset", data)
	exportAs(filepath.Join(run, "architecture", "architecture.json"), "--weights", weights, "--dataset", data, "--channels", "2", "--cells", "1")

	// A folder gets all that the stage leaves, but for the checks, which are printed.
	folder := filepath.Join(dir, "shipped") + string(filepath.Separator)
	if _, said, err := call(t, "export", run, "-o", folder); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	left, err := os.ReadDir(filepath.Join(run, "export"))
	if err != nil || len(left) < 10 {
		t.Fatalf("%v, %d files", err, len(left))
	}
	for _, e := range left {
		want, err := os.ReadFile(filepath.Join(run, "export", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, e.Name())); e.Name() != "checks.json" && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%s: %v, equal %v", e.Name(), err, bytes.Equal(got, want))
		}
	}
	picture := filepath.Join(writePictures(t), "red", "a.png")
	if out, said, err := call(t, "predict", run, picture, "--format", "csv", "--top", "0"); err != nil || strings.Count(out, picture) != 10 {
		t.Errorf("predict by the run's folder: %v %s %s", err, said, out)
	}

	path := filepath.Join(dir, "again.onnx")
	out, _, err := call(t, "export", run, "-o", path, "--softmax", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var e exported
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Output != "probabilities" || len(e.Checks) != 5 || e.File != path {
		t.Errorf("%v, %+v", err, e)
	}
	// Further precisions lie beside the file, and predict takes them as it takes the file.
	several := filepath.Join(dir, "several")
	out, said, err := call(t, "export", run, "-o", several+string(filepath.Separator), "--also", "int8,float16", "--calibration-images", "8", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	e = exported{}
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Precisions == nil || len(e.Precisions.Models) != 3 || e.Precisions.Calibration != 8 {
		t.Errorf("%v, %+v", err, e.Precisions)
	}
	if _, err := os.Stat(filepath.Join(several, "precisions.json")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"model.int8.onnx", "model.float16.onnx"} {
		if out, said, err := call(t, "predict", filepath.Join(several, name), picture, "--format", "csv", "--top", "0"); err != nil || strings.Count(out, picture) != 10 {
			t.Errorf("predict by %s: %v %s %s", name, err, said, out)
		}
	}
	for want, args := range map[string][]string{
		"is there already":               {run, "-o", path},
		"is there already; give":         {run, "-o", filepath.Join(several, "model.onnx"), "--also", "int8"},
		"use int8 or float16":            {run, "-o", "x.onnx", "--also", "int4"},
		"no stage \"trane\" has trained": {run, "--stage", "trane", "-o", "x.onnx"},
		"is no run directory":            {dir, "-o", "x.onnx"},
		"no such file":                   {"nowhere", "-o", "x.onnx"},
		"--dataset is missing":           {filepath.Join(run, "train", "network.json"), "-o", "x.onnx"},
		"give --channels and --cells":    {filepath.Join(run, "architecture", "architecture.json"), "-o", "x.onnx"},
		"leave --channels, --cells":      {filepath.Join(run, "train", "network.json"), "--cells", "1", "-o", "x.onnx"},
		"no network.json":                {data, "-o", "x.onnx"},
		"use pixels, unit or normalized": {run, "--input", "bytes", "-o", "x.onnx"},
		"--weights: stat":                {run, "--weights", "nowhere", "-o", "x.onnx"},
		"want":                           {filepath.Join(run, "architecture", "architecture.json"), "--weights", weights, "--dataset", data, "--channels", "3", "--cells", "1", "-o", "x.onnx"},
	} {
		if _, _, err := call(t, append([]string{"export"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("export %s: %v does not say %q", strings.Join(args, " "), err, want)
		}
	}
	if _, err := os.Stat("x.onnx"); err == nil {
		t.Error("a failed export left a file")
	}
}
