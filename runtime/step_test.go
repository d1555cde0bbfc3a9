package runtime_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func floats(name string, dims ...int64) tinymodel.Value {
	return tinymodel.Value{Name: name, Type: tinymodel.Float32, Dims: dims}
}

func node(op, output string, inputs ...string) tinymodel.Node {
	return tinymodel.Node{Op: op, Inputs: inputs, Outputs: []string{output}}
}

// counter adds x to the state w and puts out their product. x has another shape than w on purpose.
func counter(n int64) []byte {
	return tinymodel.Model{
		Inputs:   []tinymodel.Value{floats("w", n), floats("x", 1, n)},
		Outputs:  []tinymodel.Value{floats("product", 1, n), floats("next_w", 1, n)},
		Nodes:    []tinymodel.Node{node("Mul", "product", "w", "x"), node("Add", "next_w", "w", "x")},
		Metadata: [][2]string{{"made", "by hand"}},
	}.Bytes()
}

// reader puts out twice the state w.
func reader(n int64) []byte {
	return tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("w", n)},
		Outputs: []tinymodel.Value{floats("twice", n)},
		Nodes:   []tinymodel.Node{node("Add", "twice", "w", "w")},
	}.Bytes()
}

func newState(t testing.TB, rt *runtime.Runtime, values ...float32) *runtime.State {
	t.Helper()
	s, err := rt.NewState(len(values))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Write(values); err != nil {
		t.Fatal(err)
	}
	return s
}

func newStep(t testing.TB, rt *runtime.Runtime, model []byte, states map[string]*runtime.State) *runtime.Step {
	t.Helper()
	s, err := rt.NewStep(model, runtime.StepOptions{States: states})
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

func buffer(t testing.TB, s *runtime.Step, name string) []float32 {
	t.Helper()
	b, err := s.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(s *runtime.State) []float32 {
	values := make([]float32, s.Len())
	s.Read(values)
	return values
}

func TestStepReplacesItsStateAndReusesItsBuffers(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 10, 20, 30)
	step := newStep(t, rt, counter(3), map[string]*runtime.State{"w": w})
	x, product := buffer(t, step, "x"), buffer(t, step, "product")
	copy(x, []float32{1, 2, 3})
	for i, want := range []struct{ state, product []float32 }{
		{[]float32{11, 22, 33}, []float32{10, 40, 90}},
		{[]float32{12, 24, 36}, []float32{11, 44, 99}},
		{[]float32{13, 26, 39}, []float32{12, 48, 108}},
	} {
		if err := step.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.state, read(w)); diff != "" {
			t.Errorf("state after run %d: %s", i, diff)
		}
		if diff := cmp.Diff(want.product, product); diff != "" {
			t.Errorf("output of run %d: %s", i, diff)
		}
	}
	if err := w.Write([]float32{0, 1, 0}); err != nil {
		t.Fatal(err)
	}
	if err := step.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.View(func(values []float32) {
		if diff := cmp.Diff([]float32{1, 3, 3}, values); diff != "" {
			t.Errorf("state after it was written and run: %s", diff)
		}
	})
	if step.Metadata()["made"] != "by hand" {
		t.Errorf("metadata is %v", step.Metadata())
	}
}

func TestStepsShareAState(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 1, 2)
	count := newStep(t, rt, counter(2), map[string]*runtime.State{"w": w})
	twice := newStep(t, rt, reader(2), map[string]*runtime.State{"w": w})
	copy(buffer(t, count, "x"), []float32{5, 5})
	for _, want := range [][]float32{{12, 14}, {22, 24}, {32, 34}} {
		if err := errors.Join(count.Run(t.Context()), twice.Run(t.Context())); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, buffer(t, twice, "twice")); diff != "" {
			t.Error(diff)
		}
	}
}

// Two steps that replace the same two states, named so that each would lock them in the other order.
func TestStepsThatShareStatesRunSideBySide(t *testing.T) {
	rt := runtimetest.Open(t)
	model := tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("a", 1), floats("b", 1), floats("one", 1)},
		Outputs: []tinymodel.Value{floats("next_a", 1), floats("next_b", 1)},
		Nodes:   []tinymodel.Node{node("Add", "next_a", "a", "one"), node("Add", "next_b", "b", "one")},
	}.Bytes()
	first, second := newState(t, rt, 0), newState(t, rt, 0)
	steps := []*runtime.Step{
		newStep(t, rt, model, map[string]*runtime.State{"a": first, "b": second}),
		newStep(t, rt, model, map[string]*runtime.State{"a": second, "b": first}),
	}
	const runs = 200
	var group sync.WaitGroup
	for _, s := range steps {
		buffer(t, s, "one")[0] = 1
		for range 2 {
			group.Go(func() {
				for range runs {
					if err := s.Run(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	group.Wait()
	for _, s := range []*runtime.State{first, second} {
		if got := read(s)[0]; got != 4*runs {
			t.Errorf("a state counts %v runs, expected %d", got, 4*runs)
		}
	}
}

// A state that is replaced again and again is what folding the same function over a slice gives.
func TestStepIsAFold(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 0, 0, 0, 0)
	step := newStep(t, rt, counter(4), map[string]*runtime.State{"w": w})
	x := buffer(t, step, "x")
	rapid.Check(t, func(r *rapid.T) {
		// Whole numbers add up exactly, and are no denormals, which a step takes for zero.
		number := rapid.Map(rapid.IntRange(-1000, 1000), func(n int) float32 { return float32(n) })
		want := rapid.SliceOfN(number, 4, 4).Draw(r, "start")
		if err := w.Write(want); err != nil {
			r.Fatal(err)
		}
		for _, add := range rapid.SliceOfN(rapid.SliceOfN(number, 4, 4), 1, 6).Draw(r, "inputs") {
			copy(x, add)
			if err := step.Run(t.Context()); err != nil {
				r.Fatal(err)
			}
			for i := range want {
				want[i] += add[i]
			}
			if diff := cmp.Diff(want, read(w)); diff != "" {
				r.Fatal(diff)
			}
		}
	})
}

func TestStepHardlyAllocates(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 0, 0, 0)
	step := newStep(t, rt, counter(3), map[string]*runtime.State{"w": w})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n := testing.AllocsPerRun(200, func() {
		if err := step.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}); n > 2 { // the binding makes two slices of handles
		t.Errorf("a run allocates %v times, expected at most 2", n)
	}
}

func TestStepGivesTheSameBitsEachTime(t *testing.T) {
	rt := runtimetest.Open(t)
	const side = 160 // large enough to be cut among threads
	step := newStep(t, rt, tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("a", side, side)},
		Outputs: []tinymodel.Value{floats("soft", side, side), floats("sum", side)},
		Nodes: []tinymodel.Node{
			node("MatMul", "product", "a", "a"),
			node("Softmax", "soft", "product"),
			{Op: "ReduceMean", Inputs: []string{"product"}, Outputs: []string{"sum"}, Ints: map[string][]int64{"axes": {0}}, Int: map[string]int64{"keepdims": 0}},
		},
	}.Bytes(), nil)
	a := buffer(t, step, "a")
	for i := range a {
		a[i] = float32(math.Sin(float64(i)))
	}
	var first []float32
	for range 50 {
		if err := step.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(buffer(t, step, "soft"), buffer(t, step, "sum"))
		if first == nil {
			first = got
		}
		if !slices.Equal(first, got) {
			t.Fatal("two runs on the same input differ")
		}
	}
}

// The product is denormal. Whichever thread a goroutine happens to be on, a step takes it for zero, and Go does not.
func TestDenormalsAreZeroInStepsOnly(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 1e-20)
	var group sync.WaitGroup
	for range 8 {
		step := newStep(t, rt, counter(1), map[string]*runtime.State{"w": w})
		group.Go(func() {
			for range 20 {
				if err := step.Run(context.Background()); err != nil {
					t.Error(err)
					return
				}
				if product := float32(math.Ldexp(1, -100)) * float32(math.Ldexp(1, -40)); product == 0 {
					t.Error("denormals are zero in Go after a step")
				}
				time.Sleep(time.Millisecond / 10)
			}
		})
		copy(buffer(t, step, "x"), []float32{1e-20})
	}
	group.Wait()
	step := newStep(t, rt, counter(1), map[string]*runtime.State{"w": newState(t, rt, 1e-20)})
	copy(buffer(t, step, "x"), []float32{1e-20})
	if err := step.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := buffer(t, step, "product")[0]; got != 0 {
		t.Errorf("1e-20 * 1e-20 is %g in a step, expected 0", got)
	}
}

// slow is a step that takes seconds unless it is ended.
func slow() []byte {
	m := tinymodel.Model{Inputs: []tinymodel.Value{floats("w", 512, 512)}, Outputs: []tinymodel.Value{floats("next_w", 512, 512)}}
	from := "w"
	for i := range 2000 {
		to := "p" + strings.Repeat("i", i%3) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		m.Nodes = append(m.Nodes, node("MatMul", to, from, "w"))
		from = to
	}
	m.Nodes = append(m.Nodes, node("Identity", "next_w", from))
	return m.Bytes()
}

func TestCancelledStepReturnsSoonAndKeepsItsState(t *testing.T) {
	rt := runtimetest.Open(t)
	values := make([]float32, 512*512)
	values[7] = 3
	w := newState(t, rt, values...)
	step := newStep(t, rt, slow(), map[string]*runtime.State{"w": w})
	for range 2 { // the second time the step has been ended before
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("enough")
		time.AfterFunc(50*time.Millisecond, func() { cancel(reason) })
		start := time.Now()
		err := step.Run(ctx)
		if !errors.Is(err, reason) {
			t.Errorf("got %v, expected the context's cause", err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("returned after %v", took)
		}
		if diff := cmp.Diff(values, read(w)); diff != "" {
			t.Error("the state of a step that was cancelled has changed")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := step.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v on a cancelled context", err)
	}
}

func TestStepRunsAgainAfterItsContextEnded(t *testing.T) {
	rt := runtimetest.Open(t)
	step := newStep(t, rt, counter(1), map[string]*runtime.State{"w": newState(t, rt, 1)})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := step.Run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

func TestStepsThatCannotBe(t *testing.T) {
	rt := runtimetest.Open(t)
	three := newState(t, rt, 1, 2, 3)
	both := tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("a", 3), floats("b", 3)},
		Outputs: []tinymodel.Value{floats("next_a", 3), floats("next_b", 3)},
		Nodes:   []tinymodel.Node{node("Add", "next_a", "a", "b"), node("Sub", "next_b", "a", "b")},
	}.Bytes()
	dynamic := tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("x", -1, 3)},
		Outputs: []tinymodel.Value{floats("y", -1, 3)},
		Nodes:   []tinymodel.Node{node("Relu", "y", "x")},
	}.Bytes()
	scalar := tinymodel.Model{
		Inputs:  []tinymodel.Value{{Name: "x", Type: tinymodel.Float32, Dims: []int64{}}},
		Outputs: []tinymodel.Value{{Name: "y", Type: tinymodel.Float32, Dims: []int64{}}},
		Nodes:   []tinymodel.Node{node("Relu", "y", "x")},
	}.Bytes()
	whole := tinymodel.Model{
		Inputs:  []tinymodel.Value{{Name: "w", Type: tinymodel.Int64, Dims: []int64{3}}},
		Outputs: []tinymodel.Value{{Name: "y", Type: tinymodel.Int64, Dims: []int64{3}}},
		Nodes:   []tinymodel.Node{node("Identity", "y", "w")},
	}.Bytes()
	for name, c := range map[string]struct {
		model  []byte
		states map[string]*runtime.State
		want   string
	}{
		"state of another length":  {counter(2), map[string]*runtime.State{"w": three}, `input "w": got a state of 3 float32 numbers, expected float32 [2]`},
		"state of another type":    {whole, map[string]*runtime.State{"w": three}, `input "w": got a state of 3 float32 numbers, expected int64 [3]`},
		"no such input":            {counter(3), map[string]*runtime.State{"v": three}, `there is no input "v" for the state of that name; the inputs are w, x`},
		"nil state":                {counter(3), map[string]*runtime.State{"w": nil}, `the state for input "w" is nil`},
		"one state replaced twice": {both, map[string]*runtime.State{"a": three, "b": three}, "both replace it"},
		"dynamic shape":            {dynamic, nil, `input "x" has the shape [? 3]; a step needs fixed ones`},
		"no dimensions":            {scalar, nil, `input "x" has no dimensions; give it the shape [1]`},
		"not a model":              {[]byte("hello"), nil, "not an ONNX model"},
		"nothing":                  {nil, nil, "not an ONNX model"},
	} {
		t.Run(name, func(t *testing.T) {
			step, err := rt.NewStep(c.model, runtime.StepOptions{States: c.states, SessionOptions: runtime.SessionOptions{Name: "train_step"}})
			if err == nil {
				step.Close()
				t.Fatal("it could be made")
			}
			for _, want := range []string{"train_step", c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestBuffersThatAreNot(t *testing.T) {
	rt := runtimetest.Open(t)
	step := newStep(t, rt, counter(3), map[string]*runtime.State{"w": newState(t, rt, 1, 2, 3)})
	_, missing := step.Float32("z")
	_, state := step.Float32("w")
	_, next := step.Float32("next_w")
	_, typed := step.Int64("x")
	for _, c := range []struct {
		err  error
		want string
	}{
		{missing, `there is no input or output "z"; there are product, x`},
		{state, `"w" is a state; use its Read and Write`},
		{next, `"next_w" is a state`},
		{typed, `"x" holds float32, asked for as int64`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("got %v, expected %q", c.err, c.want)
		}
	}
}

func TestStatesOutliveTheirSteps(t *testing.T) {
	rt := runtimetest.Open(t)
	w, err := rt.NewState(3)
	if err != nil {
		t.Fatal(err)
	}
	step, err := rt.NewStep(counter(3), runtime.StepOptions{States: map[string]*runtime.State{"w": w}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "1 steps use it") {
		t.Errorf("a state in use was closed: %v", err)
	}
	if err := errors.Join(step.Close(), step.Close(), w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if err := step.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a closed step ran: %v", err)
	}
	if step, err := rt.NewStep(counter(3), runtime.StepOptions{States: map[string]*runtime.State{"w": w}}); err == nil {
		step.Close()
		t.Error("a closed state was used")
	}
	if _, err := rt.NewState(0); err == nil {
		t.Error("an empty state was made")
	}
	if err := newState(t, rt, 1, 2).Write([]float32{1}); err == nil || !strings.Contains(err.Error(), "got 1 numbers, expected 2") {
		t.Errorf("a state took another length: %v", err)
	}
}
