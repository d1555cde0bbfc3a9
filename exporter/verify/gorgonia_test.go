package verify

import (
	"math/rand/v2"
	"os"
	"testing"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	"gorgonia.org/tensor"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

// gorgonia runs a model of one input and one output in pure Go. It knows few operators, but among them those of plain
// convolutional networks, and shares nothing with ONNX Runtime or with us.
func gorgonia(t *testing.T, model []byte, shape []int, x []float32) []float32 {
	t.Helper()
	backend := gorgonnx.NewGraph()
	m := onnxgo.NewModel(backend)
	if err := m.UnmarshalBinary(model); err != nil {
		t.Fatal(err)
	}
	if err := m.SetInput(0, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))); err != nil {
		t.Fatal(err)
	}
	if err := backend.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := m.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Data().([]float32)
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(publicdata.Path(t, path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGorgoniaComputesTheForeignModel(t *testing.T) {
	tensorOf := func(file string) tensor.Tensor {
		v, err := onnxgo.NewTensor(read(t, "onnx", "mnist-8", "test_data_set_0", file))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	got := gorgonia(t, read(t, "onnx", "mnist-8", "model.onnx"), []int{1, 1, 28, 28}, tensorOf("input_0.pb").Data().([]float32))
	d, err := Compare(tensorOf("output_0.pb").Data().([]float32), got)
	if err != nil || d.MaxRel > Tolerance {
		t.Errorf("%v, %v", d, err)
	}
}

// A network as the builder writes it, computed by Gorgonia and by loops.
func TestGorgoniaComputesABuiltModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = r.Float32() - 0.5
		}
		return out
	}
	const c, size, k, classes = 2, 6, 4, 3
	images, w, head, bias := random(c*size*size), random(k*c*9), random(classes*k), random(classes)

	g := graph.New("classifier")
	x := g.Input("images", graph.Float32, []int{1, c, size, size}, "")
	y := graph.Relu(graph.Conv(x, g.Parameter("w", w, k, c, 3, 3), nil, graph.Same(3, 1, 1, 1)))
	y = graph.Flatten(graph.GlobalAveragePool(y), 1)
	g.Output("logits", graph.Gemm(y, g.Parameter("head", head, classes, k), g.Parameter("bias", bias, 1, classes), graph.GemmConfig{TransB: true}), "")
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}

	want := make([]float32, classes)
	copy(want, bias)
	for o := range k {
		var mean float32
		for i := range size {
			for j := range size {
				var sum float32
				for in := range c {
					for a := range 3 {
						for b := range 3 {
							if p, q := i+a-1, j+b-1; p >= 0 && p < size && q >= 0 && q < size {
								sum += w[((o*c+in)*3+a)*3+b] * images[(in*size+p)*size+q]
							}
						}
					}
				}
				mean += max(sum, 0) / (size * size)
			}
		}
		for class := range classes {
			want[class] += head[class*k+o] * mean
		}
	}
	d, err := Compare(want, gorgonia(t, data, []int{1, c, size, size}, images))
	if err != nil || d.MaxRel > Tolerance {
		t.Errorf("%v, %v", d, err)
	}
}
