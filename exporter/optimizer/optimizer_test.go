package optimizer_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// trajectory is one case of testdata/generate.py.
type trajectory struct {
	Method                string
	Momentum, Decay, Clip float32
	Beta1, Beta2, Epsilon float32
	Nesterov              bool
	Params                [][]float32
	Norms                 []float32
}

func vector(g *graph.Graph, name string, n int) *graph.Value {
	return g.Input(name, graph.Float32, []int{n}, "")
}

// build returns the graph of one step; every next_ output feeds the input of its name in the following step.
func (c trajectory) build(n int) *graph.Graph {
	g := graph.New("step")
	params, grad, lr := vector(g, "params", n), vector(g, "grad", n), vector(g, "lr", 1)
	if c.Clip > 0 {
		var norm *graph.Value
		grad, norm = optimizer.ClipGlobalNorm(grad, c.Clip)
		g.Output("norm", norm, "")
	}
	if c.Method == "sgd" {
		var momentum *graph.Value
		if c.Momentum > 0 {
			momentum = vector(g, "momentum", n)
		}
		next, state := optimizer.SGD{Momentum: c.Momentum, WeightDecay: c.Decay, Nesterov: c.Nesterov}.Step(params, grad, momentum, lr)
		g.Output("next_params", next, "")
		if state != nil {
			g.Output("next_momentum", state, "")
		}
		return g
	}
	o := optimizer.Adam{Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon, WeightDecay: c.Decay}
	next, m, v := o.Step(params, grad, vector(g, "m", n), vector(g, "v", n), vector(g, "step", 1), lr)
	g.Output("next_params", next, "")
	g.Output("next_m", m, "")
	g.Output("next_v", v, "")
	return g
}

func TestTrajectoriesAgreeWithPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/trajectories.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []trajectory
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d_%s", i, c.Method), func(t *testing.T) {
			n := len(c.Params[0])
			g := c.build(n)
			run := graphtest.Compile(t, g)
			state := map[string]runtime.Tensor{}
			for _, in := range g.Inputs() {
				state[in.Name()] = graphtest.Float32(make([]float32, in.Size()), in.Size())
			}
			params := graphtest.Floats(t, state["params"])
			for j := range params {
				params[j] = float32(math.Cos(float64(2 * j)))
			}
			for step, want := range c.Params {
				grad := make([]float32, n)
				for j, p := range graphtest.Floats(t, state["params"]) {
					grad[j] = float32(math.Sin(float64(3*j+step)) + 0.5*float64(p))
				}
				state["grad"] = graphtest.Float32(grad, n)
				state["lr"] = graphtest.Float32([]float32{float32(0.1 / float64(1+step))}, 1)
				if c.Method == "adam" {
					state["step"] = graphtest.Float32([]float32{float32(step + 1)}, 1)
				}
				out := run(state)
				graphtest.Close(t, fmt.Sprintf("parameters after step %d", step+1), graphtest.Floats(t, out["next_params"]), want, 2e-5)
				if c.Clip > 0 {
					graphtest.Close(t, "norm", graphtest.Floats(t, out["norm"]), c.Norms[step:step+1], 2e-5)
				}
				for name, v := range out {
					if name, ok := strings.CutPrefix(name, "next_"); ok {
						state[name] = v
					}
				}
			}
		})
	}
}

func TestAStepTakesFewOperatorsWhateverTheSize(t *testing.T) {
	for _, c := range []struct {
		trajectory
		most int
	}{
		{trajectory{Method: "sgd", Momentum: 0.9, Decay: 3e-4, Nesterov: true}, 8},
		{trajectory{Method: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 1e-3}, 15},
	} {
		vectorOps := 0
		for _, n := range c.build(1000).Nodes() {
			if n.Op != "Identity" && n.Outputs[0].Size() == 1000 {
				vectorOps++
			}
		}
		if vectorOps > c.most {
			t.Errorf("%s: %d operators on full vectors, want at most %d", c.Method, vectorOps, c.most)
		}
	}
}

func TestClippingLeavesSmallGradientsAlone(t *testing.T) {
	g := graph.New("clip")
	clipped, norm := optimizer.ClipGlobalNorm(vector(g, "grad", 2), 5)
	g.Output("clipped", clipped, "")
	g.Output("norm", norm, "")
	run := graphtest.Compile(t, g)
	for _, c := range []struct{ grad, clipped, norm []float32 }{
		{[]float32{3, -1}, []float32{3, -1}, []float32{float32(math.Sqrt(10))}},
		{[]float32{0, 0}, []float32{0, 0}, []float32{0}},
		{[]float32{30, -40}, []float32{3, -4}, []float32{50}},
	} {
		out := run(map[string]runtime.Tensor{"grad": graphtest.Float32(c.grad, 2)})
		graphtest.Close(t, "clipped", graphtest.Floats(t, out["clipped"]), c.clipped, 1e-6)
		graphtest.Close(t, "norm", graphtest.Floats(t, out["norm"]), c.norm, 1e-6)
	}
}

func TestMistakesAreReported(t *testing.T) {
	for want, build := range map[string]func(g *graph.Graph, p *graph.Value){
		"sgd: SGD: settings": func(g *graph.Graph, p *graph.Value) {
			optimizer.SGD{Momentum: 1.5}.Step(p, p, p, vector(g, "lr", 1))
		},
		"Nesterov needs momentum": func(g *graph.Graph, p *graph.Value) {
			optimizer.SGD{Nesterov: true}.Step(p, p, p, vector(g, "lr", 1))
		},
		"momentum needs its state vector": func(g *graph.Graph, p *graph.Value) {
			optimizer.SGD{Momentum: 0.9}.Step(p, p, nil, vector(g, "lr", 1))
		},
		"the vectors have the shapes [3] and [4]": func(g *graph.Graph, p *graph.Value) {
			optimizer.SGD{}.Step(p, vector(g, "grad", 4), nil, vector(g, "lr", 1))
		},
		"adam: Adam: settings": func(g *graph.Graph, p *graph.Value) {
			optimizer.Adam{Beta1: 0.9, Beta2: 0.999}.Step(p, p, p, p, vector(g, "t", 1), vector(g, "lr", 1))
		},
		"shape [2], not [1]": func(g *graph.Graph, p *graph.Value) {
			optimizer.DefaultAdam().Step(p, p, p, p, vector(g, "t", 2), vector(g, "lr", 1))
		},
		"a limit above 0": func(g *graph.Graph, p *graph.Value) { optimizer.ClipGlobalNorm(p, 0) },
	} {
		g := graph.New("g")
		build(g, vector(g, "params", 3))
		if g.Err() == nil || !strings.Contains(g.Err().Error(), want) {
			t.Errorf("error %v does not contain %q", g.Err(), want)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		name string
		s    optimizer.Schedule
		at   map[int]float64
	}{
		{"constant", optimizer.Constant(0.1), map[int]float64{0: 0.1, 99: 0.1}},
		{"cosine", optimizer.Cosine(0.1, 0, 200), map[int]float64{0: 0.1, 100: 0.05, 200: 0, 300: 0}},
		{"step", optimizer.Step(1, 0.1, 30), map[int]float64{0: 1, 29: 1, 30: 0.1, 60: 0.01}},
		{"exponential", optimizer.Step(0.1, 0.97, 1), map[int]float64{0: 0.1, 1: 0.097}},
		{"warm-up", optimizer.Warmup(5, optimizer.Constant(1)), map[int]float64{0: 0.2, 4: 1, 5: 1}},
		{"no warm-up", optimizer.Warmup(0, optimizer.Cosine(1, 0, 2)), map[int]float64{0: 1, 1: 0.5}},
	} {
		for step, want := range c.at {
			if got := c.s(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s at step %d is %v, want %v", c.name, step, got, want)
			}
		}
	}
}

func TestCosineFallsSteadilyAfterWarmup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		final := rapid.Float64Range(0, 1).Draw(t, "final")
		initial := final + rapid.Float64Range(0, 10).Draw(t, "above")
		total, warm := rapid.IntRange(1, 500).Draw(t, "total"), rapid.IntRange(0, 50).Draw(t, "warm-up")
		s := optimizer.Warmup(warm, optimizer.Cosine(initial, final, total))
		const slack = 1e-12
		for i := range warm + total + 5 {
			now, next := s(i), s(i+1)
			if now > initial+slack || i >= warm && now < final-slack {
				t.Fatalf("step %d: %v is outside [%v, %v]", i, now, final, initial)
			}
			if i+1 < warm && next < now || i >= warm && next > now+slack {
				t.Fatalf("step %d: %v, then %v", i, now, next)
			}
		}
	})
}
