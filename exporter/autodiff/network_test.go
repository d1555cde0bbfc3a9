package autodiff_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/loss"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
)

// smallNet builds the network of generate.py.
type smallNet struct {
	binder params.Binder
	count  int
}

func (s *smallNet) take(init params.Init, shape ...int) *graph.Value {
	s.count++
	return s.binder.Param(fmt.Sprintf("parameter%d", s.count-1), init, shape...)
}

func (s *smallNet) conv(x *graph.Value, out, kernel, stride int) *graph.Value {
	return graph.Conv(x, s.take(params.Conv, out, x.Dim(1), kernel, kernel), nil, graph.Same(kernel, stride, 1, 1))
}

func (s *smallNet) norm(x *graph.Value, affine bool) *graph.Value {
	g, c := x.Graph(), x.Dim(1)
	scale, bias := g.Fill(1, c), g.Fill(0, c)
	if affine {
		scale, bias = s.take(params.Ones, c), s.take(params.Zeros, c)
	}
	y, _, _ := graph.BatchNormTrain(x, scale, bias, g.Fill(0, c), g.Fill(1, c), graph.DefaultEpsilon, 0)
	return y
}

func (s *smallNet) cell(x, p *graph.Value) *graph.Value {
	c, states, e := x.Dim(1), []*graph.Value{x}, 0
	for node := 1; node < 4; node++ {
		var terms []*graph.Value
		for j := range node {
			h := states[j]
			w := graph.Split(graph.Reshape(graph.Slice(p, graph.Range{Axis: 0, Start: e, End: e + 1}), 5), 0, 1, 1, 1, 1, 1)
			terms = append(terms,
				graph.Mul(w[1], h),
				graph.Mul(s.norm(s.conv(graph.Relu(h), c, 1, 1), false), w[2]),
				graph.Mul(s.norm(s.conv(graph.Relu(h), c, 3, 1), false), w[3]),
				graph.Mul(w[4], graph.AveragePool(h, graph.SquarePool(3, 1, 1))))
			e++
		}
		states = append(states, graph.Sum(terms...))
	}
	return states[3]
}

func (s *smallNet) forward(x, alpha *graph.Value) *graph.Value {
	p := graph.Softmax(alpha, 1)
	x = s.cell(s.norm(s.conv(x, 4, 3, 1), true), p)
	y := s.norm(s.conv(graph.Relu(x), 8, 3, 2), true)
	y = s.norm(s.conv(graph.Relu(y), 8, 3, 1), true)
	x = s.cell(graph.Add(y, s.conv(graph.AveragePool(x, graph.SquarePool(2, 2, 0)), 8, 1, 1)), p)
	x = graph.Flatten(graph.GlobalAveragePool(graph.Relu(s.norm(x, true))), 1)
	return graph.Gemm(x, s.take(params.Linear, 5, 8), s.take(params.Zeros, 5), graph.GemmConfig{TransB: true})
}

// TestTrainingASupernetAgreesWithPyTorch takes 20 steps and compares the gradients of the first, all losses and the
// parameters at the end.
func TestTrainingASupernetAgreesWithPyTorch(t *testing.T) {
	const batch, size, classes, steps = 4, 8, 5, 20
	images := func(g *graph.Graph) *graph.Value {
		return g.Input("x", graph.Float32, []int{batch, 3, size, size}, "")
	}
	index, err := params.Collect(func(g *graph.Graph, b params.Binder) {
		(&smallNet{binder: b}).forward(images(g), g.Input("alpha", graph.Float32, []int{6, 5}, ""))
	})
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New("step")
	x, alpha, labels := images(g), g.Input("alpha", graph.Float32, []int{6, 5}, ""), g.Input("y", graph.Int64, []int{batch}, "")
	flat, momentum := vector(g, "params", index.Total()), vector(g, "momentum", index.Total())
	binder := params.NewFlat(index, flat)
	objective := loss.CrossEntropy((&smallNet{binder: binder}).forward(x, alpha), labels, 0.1)
	grads, err := autodiff.Gradients([]*graph.Value{objective}, nil, append([]*graph.Value{alpha}, binder.Values()...))
	if err != nil {
		t.Fatal(err)
	}
	gradient := index.Pack(grads[1:])
	clipped, _ := optimizer.ClipGlobalNorm(gradient, 1)
	next, state := optimizer.SGD{Momentum: 0.9, WeightDecay: 5e-4, Nesterov: true}.Step(flat, clipped, momentum, g.Floats([]float32{0.05}, 1))
	g.Output("loss", objective, "")
	g.Output("alpha_gradient", grads[0], "")
	g.Output("gradient", gradient, "")
	g.Output("next_params", next, "")
	g.Output("next_momentum", state, "")
	run := graphtest.Compile(t, g)

	start := make([]float32, index.Total())
	for i, p := range index.All() {
		switch p.Init {
		case params.Ones:
			for j := range p.Of(start) {
				p.Of(start)[j] = 1
			}
		case params.Conv, params.Linear:
			bound := float32(1 / math.Sqrt(float64(p.FanIn)))
			for j, v := range torchtest.Noise(9000+i, p.Size()) {
				p.Of(start)[j] = v * bound
			}
		}
	}
	file, err := safetensors.Read("testdata/rules.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := func(name string) []float32 {
		v, _ := file.Tensor("network/" + name)
		data, err := v.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	inputs := map[string]runtime.Tensor{
		"params":   graphtest.Float32(start, len(start)),
		"momentum": graphtest.Float32(make([]float32, len(start)), len(start)),
		"alpha":    graphtest.Float32(torchtest.Noise(8000, 30), 6, 5),
	}
	var losses []float32
	for step := range steps {
		inputs["x"] = graphtest.Float32(torchtest.Noise(8100+step, batch*3*size*size), batch, 3, size, size)
		y := make([]int64, batch)
		for i, v := range torchtest.Noise(8200+step, batch) {
			y[i] = int64((float64(v) + 1) / 2 * classes)
		}
		inputs["y"] = graphtest.Int64(y, batch)
		out := run(inputs)
		losses = append(losses, graphtest.Floats(t, out["loss"])...)
		if step == 0 {
			graphtest.Close(t, "alpha gradient", graphtest.Floats(t, out["alpha_gradient"]), want("alpha_gradient"), 1e-4)
			for _, p := range index.All() {
				graphtest.Close(t, "gradient of "+p.Name, p.Of(graphtest.Floats(t, out["gradient"])), p.Of(want("gradient")), 1e-4)
			}
		}
		inputs["params"], inputs["momentum"] = out["next_params"], out["next_momentum"]
	}
	graphtest.Close(t, "losses", losses, want("losses"), 1e-3)
	graphtest.Close(t, "parameters at the end", graphtest.Floats(t, inputs["params"]), want("parameters"), 1e-3)
}
