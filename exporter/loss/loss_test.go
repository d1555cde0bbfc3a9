package loss_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/loss"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

func inputs(g *graph.Graph, n, k int) (logits, labels *graph.Value) {
	return g.Input("logits", graph.Float32, []int{n, k}, ""), g.Input("labels", graph.Int64, []int{n}, "")
}

// crossEntropy is the definition, in float64.
func crossEntropy(logits []float32, labels []int64, smoothing float64) float64 {
	n := len(labels)
	k := len(logits) / n
	total := 0.0
	for i, label := range labels {
		row := logits[i*k : (i+1)*k]
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		for j, v := range row {
			target := smoothing / float64(k)
			if int64(j) == label {
				target += 1 - smoothing
			}
			total -= target * (float64(v) - math.Log(sum))
		}
	}
	return total / float64(n)
}

func TestCrossEntropyFollowsItsDefinition(t *testing.T) {
	const n, k = 4, 5
	for _, smoothing := range []float32{0, 0.1, 0.5} {
		g := graph.New("loss")
		logits, labels := inputs(g, n, k)
		g.Output("loss", loss.CrossEntropy(logits, labels, smoothing), "")
		run := graphtest.Compile(t, g)
		rapid.Check(t, func(rt *rapid.T) {
			x := rapid.SliceOfN(rapid.Float32Range(-30, 30), n*k, n*k).Draw(rt, "logits")
			y := rapid.SliceOfN(rapid.Int64Range(0, k-1), n, n).Draw(rt, "labels")
			out := run(map[string]runtime.Tensor{"logits": graphtest.Float32(x, n, k), "labels": graphtest.Int64(y, n)})["loss"]
			got, want := float64(graphtest.Floats(t, out)[0]), crossEntropy(x, y, float64(smoothing))
			if math.Abs(got-want) > 1e-5*(1+want) || len(out.Shape) != 1 {
				rt.Fatalf("loss %v of shape %v, want %v", got, out.Shape, want)
			}
		})
	}
}

func TestCrossEntropyOfHugeLogitsIsFinite(t *testing.T) {
	g := graph.New("loss")
	logits, labels := inputs(g, 2, 2)
	g.Output("loss", loss.CrossEntropy(logits, labels, 0), "")
	out := graphtest.Run(t, g, map[string]runtime.Tensor{"logits": graphtest.Float32([]float32{1e6, -1e6, 0, 0}, 2, 2), "labels": graphtest.Int64([]int64{0, 1}, 2)})
	graphtest.Close(t, "loss", graphtest.Floats(t, out["loss"]), []float32{float32(math.Ln2 / 2)}, 1e-6)
}

func TestCorrectCountsTheFirstLargest(t *testing.T) {
	g := graph.New("correct")
	logits, labels := inputs(g, 4, 3)
	g.Output("correct", loss.Correct(logits, labels), "")
	run := graphtest.Compile(t, g)
	x := graphtest.Float32([]float32{3, 1, 2, 0, 5, 1, 7, 7, 0, -3, -2, -1}, 4, 3)
	for _, c := range []struct {
		labels []int64
		want   float32
	}{{[]int64{0, 1, 0, 2}, 4}, {[]int64{0, 1, 1, 2}, 3}, {[]int64{2, 2, 2, 1}, 0}} {
		out := run(map[string]runtime.Tensor{"logits": x, "labels": graphtest.Int64(c.labels, 4)})["correct"]
		graphtest.Close(t, fmt.Sprintf("hits on %v", c.labels), graphtest.Floats(t, out), []float32{c.want}, 0)
		if len(out.Shape) != 1 {
			t.Errorf("the shape is %v, want [1]", out.Shape)
		}
	}
}

func TestMistakesAreReported(t *testing.T) {
	for want, build := range map[string]func(g *graph.Graph){
		"cross_entropy: CrossEntropy: label smoothing is 1": func(g *graph.Graph) {
			x, y := inputs(g, 2, 3)
			loss.CrossEntropy(x, y, 1)
		},
		"wants logits [N, K] and int64 labels [N], has [2 3] and int64[4]": func(g *graph.Graph) {
			x, _ := inputs(g, 2, 3)
			loss.CrossEntropy(x, g.Input("others", graph.Int64, []int{4}, ""), 0)
		},
		"correct: Correct: wants logits": func(g *graph.Graph) {
			x, _ := inputs(g, 2, 3)
			loss.Correct(x, x)
		},
	} {
		g := graph.New("g")
		build(g)
		if g.Err() == nil || !strings.Contains(g.Err().Error(), want) {
			t.Errorf("error %v does not contain %q", g.Err(), want)
		}
	}
}
