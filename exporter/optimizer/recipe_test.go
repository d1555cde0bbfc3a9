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
)

// recipe is what testdata/generate_recipe.py writes.
type recipe struct {
	OneCycle []struct {
		Total             int
		Rise, Peak, Final float64
		Anneal            string
		Rates             []float64
	} `json:"one_cycle"`
	Decayed []struct {
		Momentum, Decay, Keep float32
		Nesterov              bool
		Params, Averages      [][]float32
	}
}

func readRecipe(t *testing.T) recipe {
	t.Helper()
	data, err := os.ReadFile("testdata/recipe.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recipe
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOneCycleAgreesWithPyTorch(t *testing.T) {
	for _, c := range readRecipe(t).OneCycle {
		s := optimizer.OneCycle(c.Peak/25, c.Peak, c.Final, c.Rise, c.Total, c.Anneal == "linear")
		for i, want := range c.Rates {
			if got := s(i); math.Abs(got-want) > 1e-12 {
				t.Errorf("%d steps, %s, rise %v: the rate of step %d is %v, PyTorch's %v", c.Total, c.Anneal, c.Rise, i, got, want)
			}
		}
	}
}

func TestOneCycleRisesOnceAndFallsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peak, rise := rapid.Float64Range(0.01, 10).Draw(t, "peak"), rapid.Float64Range(0, 1).Draw(t, "rise")
		total, linear := rapid.IntRange(1, 300).Draw(t, "total"), rapid.Bool().Draw(t, "linear")
		s := optimizer.OneCycle(peak/25, peak, 0, rise, total, linear)
		falling := false
		for i := range total {
			now, next := s(i), s(i+1)
			if math.IsNaN(now) || now < -1e-12 || now > peak+1e-12 {
				t.Fatalf("step %d of %d: %v is outside [0, %v]", i, total, now, peak)
			}
			if i+1 < total && falling && next > now+1e-12 {
				t.Fatalf("step %d of %d: after it fell the rate rises from %v to %v", i, total, now, next)
			}
			falling = falling || next < now-1e-12
		}
	})
}

// Weight decay that spares some parameters, and the moving average of the weights, along PyTorch's trajectories.
func TestSparedParametersAndAveragesAgreeWithPyTorch(t *testing.T) {
	for _, c := range readRecipe(t).Decayed {
		n := len(c.Params[0])
		factors := make([]float32, n)
		for i := range n / 2 {
			factors[i] = 1
		}
		g := graph.New("step")
		params, grad, momentum, lr := vector(g, "params", n), vector(g, "grad", n), vector(g, "momentum", n), vector(g, "lr", 1)
		next, m := optimizer.SGD{Momentum: c.Momentum, WeightDecay: c.Decay, Nesterov: c.Nesterov, Decayed: factors}.Step(params, grad, momentum, lr)
		g.Output("next_params", next, "")
		g.Output("next_momentum", m, "")
		g.Output("next_average", optimizer.Average(vector(g, "average", n), next, vector(g, "keep", 1)), "")
		run := graphtest.Compile(t, g)
		state := map[string]runtime.Tensor{}
		for _, in := range g.Inputs() {
			state[in.Name()] = graphtest.Float32(make([]float32, in.Size()), in.Size())
		}
		for j, p := 0, graphtest.Floats(t, state["params"]); j < n; j++ {
			p[j] = float32(math.Cos(float64(2 * j)))
		}
		for step, want := range c.Params {
			gradient := make([]float32, n)
			for j, p := range graphtest.Floats(t, state["params"]) {
				gradient[j] = float32(math.Sin(float64(3*j+step)) + 0.5*float64(p))
			}
			keep := c.Keep
			if step == 0 { // PyTorch begins with the first weights
				keep = 0
			}
			state["grad"], state["lr"], state["keep"] = graphtest.Float32(gradient, n), graphtest.Float32([]float32{float32(0.1 / float64(1+step))}, 1), graphtest.Float32([]float32{keep}, 1)
			out := run(state)
			graphtest.Close(t, fmt.Sprintf("parameters after step %d", step+1), graphtest.Floats(t, out["next_params"]), want, 2e-5)
			graphtest.Close(t, fmt.Sprintf("average after step %d", step+1), graphtest.Floats(t, out["next_average"]), c.Averages[step], 2e-5)
			for name, v := range out {
				state[strings.TrimPrefix(name, "next_")] = v
			}
		}
	}
}

func TestAveragesBeginWithWhatIsKnown(t *testing.T) {
	for step, want := range map[int]float64{0: 0.1, 8: 0.5, 890: 0.99, 100000: 0.99} {
		if got := optimizer.AverageKeep(0.99, step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d keeps %v, want %v", step, got, want)
		}
	}
	for _, bad := range []float64{-0.1, 1, math.NaN()} {
		if optimizer.CheckAverage(bad) == nil {
			t.Errorf("a decay of %v is taken", bad)
		}
	}
}

func TestMistakesOfTheRecipeAreReported(t *testing.T) {
	for want, build := range map[string]func(g *graph.Graph, p *graph.Value){
		"2 factors of the weight decay for 3 parameters": func(g *graph.Graph, p *graph.Value) {
			optimizer.SGD{WeightDecay: 1, Decayed: []float32{1, 0}}.Step(p, p, nil, vector(g, "lr", 1))
		},
		"average: Average: the vectors have the shapes [3] and [4]": func(g *graph.Graph, p *graph.Value) {
			optimizer.Average(p, vector(g, "values", 4), vector(g, "keep", 1))
		},
	} {
		g := graph.New("g")
		build(g, vector(g, "params", 3))
		if g.Err() == nil || !strings.Contains(g.Err().Error(), want) {
			t.Errorf("error %v does not contain %q", g.Err(), want)
		}
	}
}
