package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// classifier multiplies a batch of any size with a constant matrix and finds the best class.
func classifier() []byte {
	return tinymodel.Model{
		Inputs:       []tinymodel.Value{floats("x", -1, 2)},
		Outputs:      []tinymodel.Value{floats("logits", -1, 3), {Name: "class", Type: tinymodel.Int64, Dims: []int64{-1}}, {Name: "total", Type: tinymodel.Float32, Dims: []int64{}}},
		Initializers: []tinymodel.Initializer{{Name: "w", Dims: []int64{2, 3}, Data: []float32{1, 0, 0, 0, 1, 2}}},
		Nodes: []tinymodel.Node{
			node("MatMul", "logits", "x", "w"),
			{Op: "ArgMax", Inputs: []string{"logits"}, Outputs: []string{"class"}, Int: map[string]int64{"axis": 1, "keepdims": 0}},
			{Op: "ReduceSum", Inputs: []string{"logits"}, Outputs: []string{"total"}, Int: map[string]int64{"keepdims": 0}},
		},
		Metadata: [][2]string{{"classes", "left,middle,right"}},
	}.Bytes()
}

func newSession(t testing.TB, rt *runtime.Runtime, model []byte, o runtime.SessionOptions) *runtime.Session {
	t.Helper()
	s, err := rt.NewSession(model, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSessionRunsAnyBatch(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), classifier(), runtime.SessionOptions{})
	for _, c := range []struct {
		x    runtime.Tensor
		want map[string]runtime.Tensor
	}{
		{
			runtime.Tensor{Shape: []int64{2, 2}, Data: []float32{3, 1, 0, 1}},
			map[string]runtime.Tensor{
				"logits": {Shape: []int64{2, 3}, Data: []float32{3, 1, 2, 0, 1, 2}},
				"class":  {Shape: []int64{2}, Data: []int64{0, 2}},
				"total":  {Shape: []int64{}, Data: []float32{9}},
			},
		},
		{
			runtime.Tensor{Shape: []int64{1, 2}, Data: []float32{0, 0}},
			map[string]runtime.Tensor{
				"logits": {Shape: []int64{1, 3}, Data: []float32{0, 0, 0}},
				"class":  {Shape: []int64{1}, Data: []int64{0}},
				"total":  {Shape: []int64{}, Data: []float32{0}},
			},
		},
		{
			runtime.Tensor{Shape: []int64{0, 2}, Data: []float32{}},
			map[string]runtime.Tensor{
				"logits": {Shape: []int64{0, 3}, Data: []float32{}},
				"class":  {Shape: []int64{0}, Data: []int64{}},
				"total":  {Shape: []int64{}, Data: []float32{0}},
			},
		},
	} {
		got, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": c.x})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSessionTellsWhatItIs(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), classifier(), runtime.SessionOptions{})
	if diff := cmp.Diff([]runtime.IOInfo{{Name: "x", DType: runtime.Float32, Shape: []int64{-1, 2}}}, s.Inputs()); diff != "" {
		t.Error(diff)
	}
	want := []runtime.IOInfo{
		{Name: "logits", DType: runtime.Float32, Shape: []int64{-1, 3}},
		{Name: "class", DType: runtime.Int64, Shape: []int64{-1}},
		{Name: "total", DType: runtime.Float32, Shape: []int64{}},
	}
	if diff := cmp.Diff(want, s.Outputs()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"classes": "left,middle,right"}, s.Metadata()); diff != "" {
		t.Error(diff)
	}
}

func TestSessionComputesOnlyTheOutputsAskedFor(t *testing.T) {
	rt := runtimetest.Open(t)
	s := newSession(t, rt, classifier(), runtime.SessionOptions{Outputs: []string{"class"}})
	got, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": {Shape: []int64{1, 2}, Data: []float32{0, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]runtime.Tensor{"class": {Shape: []int64{1}, Data: []int64{2}}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := rt.NewSession(classifier(), runtime.SessionOptions{Outputs: []string{"klass"}}); err == nil || !strings.Contains(err.Error(), `no output "klass"; it has logits, class, total`) {
		t.Errorf("got %v", err)
	}
}

func TestInputsThatDoNotFit(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), classifier(), runtime.SessionOptions{Name: "classifier"})
	good := runtime.Tensor{Shape: []int64{1, 2}, Data: []float32{0, 1}}
	for want, inputs := range map[string]map[string]runtime.Tensor{
		`input "x" is missing; expected float32 [? 2]`:                              {},
		`there is no input "y"; the inputs are x`:                                   {"x": good, "y": good},
		`input "x": got float32 [2 3], expected float32 [? 2]`:                      {"x": {Shape: []int64{2, 3}, Data: make([]float32, 6)}},
		`input "x": got float32 [2], expected float32 [? 2]`:                        {"x": {Shape: []int64{2}, Data: make([]float32, 2)}},
		`input "x": got float32 [], expected float32 [? 2]`:                         {"x": {Data: make([]float32, 1)}},
		`input "x": got int64 [1 2], expected float32 [? 2]`:                        {"x": {Shape: []int64{1, 2}, Data: make([]int64, 2)}},
		`input "x": got 3 elements for shape [1 2]`:                                 {"x": {Shape: []int64{1, 2}, Data: make([]float32, 3)}},
		`input "x": got 3 elements for shape [? 2]`:                                 {"x": {Shape: []int64{-1, 2}, Data: make([]float32, 3)}},
		`input "x": data of Go type []int cannot be passed; expected float32 [? 2]`: {"x": {Shape: []int64{1, 2}, Data: []int{1, 2}}},
		`input "x": data of Go type <nil> cannot be passed; expected float32 [? 2]`: {"x": {Shape: []int64{1, 2}}},
	} {
		_, err := s.Run(t.Context(), inputs)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "run classifier") {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
}

func TestEveryElementTypePassesThrough(t *testing.T) {
	rt := runtimetest.Open(t)
	for dtype, data := range map[runtime.DType]any{
		runtime.Float32: []float32{1.5, -2},
		runtime.Float64: []float64{1.5, -2},
		runtime.Int8:    []int8{1, -2},
		runtime.Int16:   []int16{1, -2},
		runtime.Int32:   []int32{1, -2},
		runtime.Int64:   []int64{1, -2},
		runtime.Uint8:   []uint8{1, 200},
		runtime.Uint16:  []uint16{1, 60000},
		runtime.Uint32:  []uint32{1, 4e9},
		runtime.Uint64:  []uint64{1, 1 << 63},
		runtime.Bool:    []bool{true, false},
	} {
		for _, shape := range [][]int64{{2}, {-1}, nil} {
			value := func(name string) tinymodel.Value { return tinymodel.Value{Name: name, Type: int(dtype), Dims: shape} }
			s := newSession(t, rt, tinymodel.Model{
				Inputs:  []tinymodel.Value{value("x")},
				Outputs: []tinymodel.Value{value("y")},
				Nodes:   []tinymodel.Node{node("Identity", "y", "x")},
			}.Bytes(), runtime.SessionOptions{})
			tensor := runtime.Tensor{Shape: []int64{2}, Data: data}
			if tensor.DType() != dtype {
				t.Errorf("%T is taken for %s", data, tensor.DType())
			}
			got, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": tensor})
			if err != nil {
				t.Fatalf("%s %v: %v", dtype, shape, err)
			}
			if diff := cmp.Diff(map[string]runtime.Tensor{"y": tensor}, got); diff != "" {
				t.Errorf("%s %v: %s", dtype, shape, diff)
			}
		}
	}
}

func TestScalarsPassThrough(t *testing.T) {
	scalar := func(name string) tinymodel.Value {
		return tinymodel.Value{Name: name, Type: tinymodel.Int64, Dims: []int64{}}
	}
	s := newSession(t, runtimetest.Open(t), tinymodel.Model{
		Inputs:  []tinymodel.Value{scalar("x")},
		Outputs: []tinymodel.Value{scalar("y")},
		Nodes:   []tinymodel.Node{node("Add", "y", "x", "x")},
	}.Bytes(), runtime.SessionOptions{})
	got, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": {Shape: []int64{}, Data: []int64{21}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]runtime.Tensor{"y": {Shape: []int64{}, Data: []int64{42}}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSessionRunsConcurrently(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), classifier(), runtime.SessionOptions{})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				n := int64(1 + (worker+i)%5)
				x := make([]float32, 2*n)
				x[0] = float32(worker)
				got, err := s.Run(context.Background(), map[string]runtime.Tensor{"x": {Shape: []int64{n, 2}, Data: x}})
				if err != nil {
					t.Error(err)
					return
				}
				if total := got["total"].Data.([]float32)[0]; total != float32(worker) {
					t.Errorf("worker %d got %v", worker, total)
				}
			}
		})
	}
	group.Wait()
}

func TestCancelledSessionReturnsSoon(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), slow(), runtime.SessionOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Run(ctx, map[string]runtime.Tensor{"w": {Shape: []int64{512, 512}, Data: make([]float32, 512*512)}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("returned after %v", took)
	}
}

func TestSessionFromAFile(t *testing.T) {
	rt := runtimetest.Open(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "classifier.onnx")
	if err := os.WriteFile(path, classifier(), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := rt.NewSessionFile(path, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_, err = s.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "classifier.onnx: it is closed") {
		t.Errorf("a closed session ran: %v", err)
	}
	if _, err := rt.NewSessionFile(filepath.Join(dir, "missing.onnx"), runtime.SessionOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestExternalDataIsReadBesideTheModel(t *testing.T) {
	rt := runtimetest.Open(t)
	dir := t.TempDir()
	w := tinymodel.Initializer{Name: "w", Dims: []int64{3}, Data: []float32{1, 2, 3}, File: "weights.bin"}
	model := tinymodel.Model{
		Inputs:       []tinymodel.Value{floats("x", 3)},
		Outputs:      []tinymodel.Value{floats("y", 3)},
		Initializers: []tinymodel.Initializer{w},
		Nodes:        []tinymodel.Node{node("Mul", "y", "x", "w")},
	}.Bytes()
	path := filepath.Join(dir, "model.onnx")
	if err := errors.Join(os.WriteFile(path, model, 0o644), os.WriteFile(filepath.Join(dir, w.File), w.Raw(), 0o644)); err != nil {
		t.Fatal(err)
	}
	s, err := rt.NewSessionFile(path, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": {Shape: []int64{3}, Data: []float32{1, 1, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{1, 2, 6}, got["y"].Data); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(filepath.Join(dir, w.File)); err != nil {
		t.Fatal(err)
	}
	if _, err := rt.NewSessionFile(path, runtime.SessionOptions{}); err == nil || !strings.Contains(err.Error(), "load model.onnx") {
		t.Errorf("a model without its data was loaded: %v", err)
	} else {
		t.Log(err)
	}
}

func TestModelsThatCannotBeLoaded(t *testing.T) {
	rt := runtimetest.Open(t)
	base := tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("x", 2)},
		Outputs: []tinymodel.Value{floats("y", 2)},
		Nodes:   []tinymodel.Node{node("Relu", "y", "x")},
	}
	unknown, missing, idle := base, base, base
	unknown.Nodes = []tinymodel.Node{node("Frobnicate", "y", "x")}
	missing.Nodes = []tinymodel.Node{node("Relu", "y", "z")}
	idle.Inputs = nil
	idle.Initializers = []tinymodel.Initializer{{Name: "x", Dims: []int64{2}, Data: []float32{1, 2}}}
	for name, c := range map[string]struct {
		model   []byte
		options runtime.SessionOptions
		want    string
	}{
		"unknown operator":     {unknown.Bytes(), runtime.SessionOptions{}, "Frobnicate"},
		"missing value":        {missing.Bytes(), runtime.SessionOptions{}, "z"},
		"no inputs":            {idle.Bytes(), runtime.SessionOptions{}, "it has no inputs"},
		"cut off":              {base.Bytes()[:len(base.Bytes())-3], runtime.SessionOptions{}, "not an ONNX model"},
		"negative threads":     {base.Bytes(), runtime.SessionOptions{Threads: -1}, "threads is -1"},
		"unknown optimization": {base.Bytes(), runtime.SessionOptions{Optimization: "more"}, `unknown graph optimization "more"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Name = "supernet"
			s, err := rt.NewSession(c.model, c.options)
			if err == nil {
				s.Close()
				t.Fatal("it could be loaded")
			}
			for _, want := range []string{"load supernet into ONNX Runtime", c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			t.Log(err)
		})
	}
}

func TestProfileIsWrittenOnClose(t *testing.T) {
	rt := runtimetest.Open(t)
	dir := t.TempDir()
	o := runtime.SessionOptions{Profile: filepath.Join(dir, "profile"), Optimized: filepath.Join(dir, "optimized.onnx"), NoArena: true, NoMemoryPattern: true}
	s, err := rt.NewSession(classifier(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": {Shape: []int64{1, 2}, Data: []float32{0, 1}}}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	profiles, err := filepath.Glob(filepath.Join(dir, "profile_*.json"))
	if err != nil || len(profiles) != 1 {
		t.Fatalf("found the profiles %v, %v", profiles, err)
	}
	if data, err := os.ReadFile(profiles[0]); err != nil || !strings.Contains(string(data), "MatMul") {
		t.Errorf("the profile does not name the operators: %v", err)
	}
	if _, err := os.Stat(o.Optimized); err != nil {
		t.Error(err)
	}
}

func TestRuntimeClosesWhatIsOpen(t *testing.T) {
	runtimetest.Open(t)
	rt, err := runtime.Open(t.Context(), runtimetest.Settings())
	if err != nil {
		t.Fatal(err)
	}
	w, err := rt.NewState(3)
	if err != nil {
		t.Fatal(err)
	}
	step, err := rt.NewStep(counter(3), runtime.StepOptions{States: map[string]*runtime.State{"w": w}})
	if err != nil {
		t.Fatal(err)
	}
	session, err := rt.NewSession(classifier(), runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rt.Close(), rt.Close()); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"step":    step.Run(t.Context()),
		"session": func() error { _, err := session.Run(t.Context(), nil); return err }(),
		"runtime": func() error { _, err := rt.NewState(1); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("a closed %s worked: %v", what, err)
		}
	}
	// The runtime that the other tests share is not touched.
	newSession(t, runtimetest.Open(t), classifier(), runtime.SessionOptions{})
}

func TestSettingsThatAreNot(t *testing.T) {
	for want, change := range map[string]func(*runtime.Settings){
		`unknown provider "gpu"; use one of auto, cpu, cuda, tensorrt, webgpu`:  func(s *runtime.Settings) { s.Provider = "gpu" },
		`unknown graph optimization "o3"; use one of all, extended, basic, off`: func(s *runtime.Settings) { s.Optimization = "o3" },
		`threads is -2; use 0 for all cores`:                                    func(s *runtime.Settings) { s.Threads = -2 },
	} {
		s := runtimetest.Settings()
		change(&s)
		rt, err := runtime.Open(t.Context(), s)
		if err == nil {
			rt.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
		if _, ok := errors.AsType[*runtime.EnvironmentError](err); ok {
			t.Errorf("a wrong setting is reported as a wrong environment: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runtime.Open(ctx, runtimetest.Settings()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v on a cancelled context", err)
	}
}

// Every model is loaded in the form that Adapt gives it for the provider in use.
func TestModelsAreAdaptedToTheProvider(t *testing.T) {
	runtimetest.Open(t)
	settings := runtimetest.Settings()
	settings.Adapt = func(provider string, model []byte) ([]byte, error) {
		if provider != runtime.ProviderCPU {
			t.Errorf("the provider is %q", provider)
		}
		return bytes.Replace(model, []byte("ArgMax"), []byte("ArgMin"), 1), nil
	}
	rt, err := runtime.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	out, err := newSession(t, rt, classifier(), runtime.SessionOptions{}).Run(t.Context(), map[string]runtime.Tensor{"x": {Shape: []int64{1, 2}, Data: []float32{1, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if class := out["class"].Data.([]int64)[0]; class != 0 {
		t.Errorf("the smallest logit is that of class %d", class)
	}
}
