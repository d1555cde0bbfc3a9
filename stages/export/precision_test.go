package export

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
)

func also(p ...Precision) func(*Settings) { return func(s *Settings) { s.Also = p } }

func TestOtherPrecisions(t *testing.T) {
	tr := newTrained(t, everything)
	tr.amplify(t, 60) // so that classes are told apart
	plain := tr.exported(t, nil)
	for _, name := range []string{"model.int8.onnx", "model.float16.onnx", "precisions.json"} {
		if _, err := os.Stat(filepath.Join(plain, name)); err == nil {
			t.Errorf("%s was not asked for", name)
		}
	}
	job, path, err := tr.export(t, also(Int8, Float16))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(path)
	if read(t, path) != read(t, filepath.Join(plain, "model.onnx")) {
		t.Error("model.onnx is another one than without further precisions")
	}
	p, err := result.ReadPrecisions(filepath.Join(folder, "precisions.json"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Images != 20 || p.Calibration != 20 || len(p.Models) != 3 || p.Models[0].Name != "float32" {
		t.Fatalf("%+v", p)
	}
	if o := p.Of("int8"); o.InInt8 == nil || *o.InInt8 != o.Products || o.Products < 10 {
		t.Errorf("%+v: not all products run in whole numbers", o)
	}
	metrics := map[string]float64{}
	for _, v := range job.Metrics() {
		metrics[v.Name] = v.Value
	}
	float, err := evaluate.Model(t.Context(), runtimetest.Open(t), path, tr.data.Test, tr.data.Classes, evaluate.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range p.Models {
		// What the files say of themselves is enough to measure them.
		got, err := evaluate.Model(t.Context(), runtimetest.Open(t), filepath.Join(folder, m.File), tr.data.Test, tr.data.Classes, evaluate.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got.Top1 != m.Top1 || got.Loss != m.Loss || got.SizeBytes != m.SizeBytes || got.Parameters != float.Parameters {
			t.Errorf("%s: %v, %v, %d bytes and %d parameters instead of %+v", m.Name, got.Top1, got.Loss, got.SizeBytes, got.Parameters, m)
		}
		gained, lost := 0, 0
		for i, b := range got.Right {
			for k := range 8 {
				if now, before := b>>k&1, float.Right[i]>>k&1; now > before {
					gained++
				} else if before > now {
					lost++
				}
			}
		}
		if m.Gained != gained || m.Lost != lost || m.Changed < gained+lost || !(m.LatencyMS > 0 && m.BatchLatencyMS > 0) || !(m.Interval[0] <= m.Top1 && m.Top1 <= m.Interval[1]) {
			t.Errorf("%+v: gained %d and lost %d", m, gained, lost)
		}
		if metrics[m.Name+"_test_top1"] != m.Top1 || metrics[m.Name+"_latency_ms"] != m.LatencyMS {
			t.Errorf("metrics %v", metrics)
		}
		if limit := map[string]float64{"float32": 1e-9, "int8": 0.1, "float16": 0.01}[m.Name]; math.Abs(got.Loss-float.Loss) > limit*float.Loss {
			t.Errorf("%s: loss %v instead of %v", m.Name, got.Loss, float.Loss)
		}
	}
	for _, precision := range Precisions() {
		m, err := onnx.Load(filepath.Join(folder, PrecisionFile("model.onnx", precision)))
		if err != nil {
			t.Fatal(err)
		}
		if props := onnx.Metadata(m); props[KeyPrecision] != string(precision) || props[evaluate.KeyClasses] == "" || props[evaluate.KeyInput] != "pixels" {
			t.Errorf("metadata of %s: %v", precision, props)
		}
	}
	card := read(t, filepath.Join(folder, "MODEL.md"))
	for _, want := range []string{"| `model.int8.onnx` |", "| `model.float16.onnx` |", "ranges from 20 training images", "McNemar"} {
		if !strings.Contains(card, want) {
			t.Errorf("MODEL.md does not say %q", want)
		}
	}
}

func TestChecksOfOtherPrecisions(t *testing.T) {
	tr := newTrained(t, everything)
	job, _, err := tr.export(t, also(Int8, Float16))
	if err != nil {
		t.Fatal(err)
	}
	checks, err := result.ReadChecks(job.Output("checks"))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, c := range checks.Checks {
		states[c.Name] = map[[2]bool]string{{true, false}: "passed", {false, true}: "not made"}[[2]bool{c.Passed, c.Skipped}]
	}
	for name, want := range map[string]string{
		"independent_decoder": "passed", "int8_independent_decoder": "not made", "float16_independent_decoder": "not made",
		"int8_scores": "passed", "float16_scores": "passed", "int8_probabilities": "passed", "float16_probabilities": "passed",
		"int8_dynamic_batch": "passed", "int8_metadata": "passed", "float16_metadata": "passed",
	} {
		if states[name] != want {
			t.Errorf("check %s: %q instead of %q", name, states[name], want)
		}
	}
}

// The forms that settings give a model are those of its precisions.
func TestOtherPrecisionsOfEveryForm(t *testing.T) {
	for name, c := range map[string]struct {
		channels int
		change   func(*Settings)
	}{
		"normalized, probabilities alone": {3, func(s *Settings) { s.Input, s.Softmax = evaluate.InputNormalized, true }},
		"gray":                            {1, func(s *Settings) { s.Input = evaluate.InputUnit }},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrainedOn(t, everything, c.channels, nil)
			_, path, err := tr.export(t, func(s *Settings) { c.change(s); s.Also = []Precision{Int8, Float16} })
			if err != nil {
				t.Fatal(err)
			}
			p, err := result.ReadPrecisions(filepath.Join(filepath.Dir(path), "precisions.json"))
			if err != nil {
				t.Fatal(err)
			}
			if o := p.Of("int8"); o.InInt8 == nil || *o.InInt8 != o.Products {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestOtherPrecisionsGiveSameBytes(t *testing.T) {
	tr := newTrained(t, everything)
	a, b := tr.exported(t, also(Int8, Float16)), tr.exported(t, also(Float16, Int8))
	for _, name := range []string{"model.onnx", "model.int8.onnx", "model.float16.onnx", "labels.txt", "preprocess.json"} {
		if read(t, filepath.Join(a, name)) != read(t, filepath.Join(b, name)) {
			t.Errorf("%s: other bytes", name)
		}
	}
}

func TestCalibrationImages(t *testing.T) {
	tr := newTrained(t, everything)
	s := DefaultSettings()
	s.CalibrationImages = 5
	im, err := s.calibrationImages(tr.data)
	if err != nil || im.Count != 5 || len(im.Labels) != 5 {
		t.Fatalf("%d images, %v", im.Count, err)
	}
	size := im.Values()
	for i := range 5 {
		from := tr.data.Train.Pixels[4*i*size:] // of 20
		if !bytes.Equal(im.Pixels[i*size:(i+1)*size], from[:size]) {
			t.Errorf("image %d is not the %dth", i, 4*i)
		}
	}
	// Training images may be larger than those that the model takes.
	small, err := tr.data.Test.Downscale(8, 8)
	if err != nil {
		t.Fatal(err)
	}
	tr.data.Test = small
	if im, err := s.calibrationImages(tr.data); err != nil || im.Height != 8 || im.Width != 8 || len(im.Pixels) != 5*3*64 {
		t.Errorf("%+v, %v", im, err)
	}
}

// A network that is broken is not published in any form, and the error says how to do without.
func TestPrecisionThatFails(t *testing.T) {
	tr := newTrained(t, everything)
	tr.amplify(t, 1e30) // beyond what float16 holds
	_, _, err := tr.export(t, also(Float16))
	if err == nil || !strings.Contains(err.Error(), "float16") {
		t.Errorf("error %v", err)
	}
}

func TestPrecisionSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"unknown":   {also("int4"), "also[0]"},
		"twice":     {also(Int8, Int8), "also[1]"},
		"no images": {func(s *Settings) { s.CalibrationImages = 0 }, "calibration_images"},
	} {
		s := DefaultSettings()
		c.change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s stage
	names := func() (out []string) {
		for _, o := range Kind(nil).Outputs {
			if s.Writes(o.Name) {
				out = append(out, o.Name)
			}
		}
		return out
	}
	if got := names(); slices.Contains(got, "model_int8") || slices.Contains(got, "precisions") || !slices.Contains(got, "card") {
		t.Errorf("without also it writes %v", got)
	}
	s.Also = []Precision{Int8}
	if got := names(); !slices.Contains(got, "model_int8") || !slices.Contains(got, "precisions") || slices.Contains(got, "model_float16") {
		t.Errorf("with int8 it writes %v", got)
	}
}
