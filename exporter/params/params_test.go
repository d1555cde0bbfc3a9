package params_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
)

// network is a small network in the form that every binder serves.
func network(x *graph.Value, b params.Binder) *graph.Value {
	w := b.Param("stem.weight", params.Conv, 4, 3, 3, 3)
	bias := b.Param("stem.bias", params.Bias(27), 4)
	x = graph.GlobalAveragePool(graph.Conv(x, w, bias, graph.Same(3, 1, 1, 1)))
	return graph.Gemm(graph.Flatten(x, 1), b.Param("head.weight", params.Linear, 10, 4), b.Param("head.bias", params.Zeros, 10), graph.GemmConfig{TransB: true})
}

func input(g *graph.Graph) *graph.Value {
	return g.Input("x", graph.Float32, []int{2, 3, 8, 8}, "images")
}

func collect(t *testing.T) *params.Index {
	t.Helper()
	ix, err := params.Collect(func(g *graph.Graph, b params.Binder) { network(input(g), b) })
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func TestCollectFindsParametersInOrder(t *testing.T) {
	want := []params.Parameter{
		{Name: "stem.weight", Shape: []int{4, 3, 3, 3}, Offset: 0, Init: params.Conv, FanIn: 27},
		{Name: "stem.bias", Shape: []int{4}, Offset: 108, Init: params.Bias(27), FanIn: 27},
		{Name: "head.weight", Shape: []int{10, 4}, Offset: 112, Init: params.Linear, FanIn: 4},
		{Name: "head.bias", Shape: []int{10}, Offset: 152, Init: params.Zeros},
	}
	ix := collect(t)
	if diff := cmp.Diff(want, ix.All()); diff != "" {
		t.Error(diff)
	}
	if ix.Total() != 162 {
		t.Errorf("Total() = %d, want 162", ix.Total())
	}
}

func TestCollectRefusesANameTwice(t *testing.T) {
	_, err := params.Collect(func(g *graph.Graph, b params.Binder) {
		defer g.Scope("cell0")()
		b.Param("w", params.Ones, 3)
		b.Param("w", params.Ones, 3)
	})
	if err == nil || !strings.Contains(err.Error(), `cell0: Param: adding parameter "w"`) {
		t.Errorf("error = %v", err)
	}
}

func TestOneNetworkServesTrainingAndExport(t *testing.T) {
	ix := collect(t)
	weights := ix.Initialize(rand.New(rand.NewPCG(1, 2)))

	g := graph.New("train")
	flat := g.Input("params", graph.Float32, []int{ix.Total()}, "weights")
	b := params.NewFlat(ix, flat)
	g.Output("logits", network(input(g), b), "")
	g.Output("again", ix.Pack(b.Values()), "")
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, n := range m.Graph.Node {
		counts[n.OpType]++
	}
	if counts["Split"] != 1 || counts["Concat"] != 1 {
		t.Errorf("%d Split and %d Concat, want one of each", counts["Split"], counts["Concat"])
	}

	g = graph.New("export")
	g.Output("logits", network(input(g), params.NewConst(g, ix, weights)), "")
	m, err = g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var joined []float32
	for _, init := range m.Graph.Initializer {
		if _, ok := ix.Lookup(init.Name); ok {
			v, err := init.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			joined = append(joined, v...)
		}
	}
	if diff := cmp.Diff(weights, joined); diff != "" {
		t.Error(diff)
	}
}

func TestBindersShareAParameterAskedForTwice(t *testing.T) {
	ix := collect(t)
	g := graph.New("g")
	for _, b := range []params.Binder{
		params.NewFlat(ix, g.Input("params", graph.Float32, []int{ix.Total()}, "")),
		params.NewConst(g, ix, make([]float32, ix.Total())),
	} {
		first, second := b.Param("head.bias", params.Zeros, 10), b.Param("head.bias", params.Zeros, 10)
		if first != second {
			t.Errorf("%T gives two values for one name", b)
		}
	}
	if g.Err() != nil {
		t.Error(g.Err())
	}
}

func TestBindersReportWhatTheIndexLacks(t *testing.T) {
	ix := collect(t)
	for name, ask := range map[string]func(params.Binder){
		`none named "tail.weight"`:            func(b params.Binder) { b.Param("tail.weight", params.Linear, 2, 2) },
		`has the shape [10] in the index`:     func(b params.Binder) { b.Param("head.bias", params.Zeros, 11) },
		`head: Param: the index of 4 paramet`: func(b params.Binder) { b.Param("x", params.Ones, 1) },
	} {
		for _, constant := range []bool{false, true} {
			g := graph.New("g")
			g.Scope("head")
			var b params.Binder = params.NewConst(g, ix, make([]float32, ix.Total()))
			if !constant {
				b = params.NewFlat(ix, g.Input("params", graph.Float32, []int{ix.Total()}, ""))
			}
			ask(b)
			if g.Err() == nil || !strings.Contains(g.Err().Error(), name) {
				t.Errorf("%T: error %v does not contain %q", b, g.Err(), name)
			}
		}
	}
}

func TestInitializeFollowsPyTorchsDefaults(t *testing.T) {
	var ix params.Index
	for _, p := range []struct {
		name  string
		init  params.Init
		shape []int
	}{
		{"conv", params.Conv, []int{64, 16, 3, 3}}, {"linear", params.Linear, []int{100, 50}},
		{"bias", params.Bias(9), []int{4000}}, {"scale", params.Ones, []int{7}}, {"shift", params.Zeros, []int{7}},
	} {
		if err := ix.Add(p.name, p.init, p.shape...); err != nil {
			t.Fatal(err)
		}
	}
	flat := ix.Initialize(rand.New(rand.NewPCG(3, 4)))
	if diff := cmp.Diff(flat, ix.Initialize(rand.New(rand.NewPCG(3, 4)))); diff != "" {
		t.Error("the same generator gives other values")
	}
	for name, bound := range map[string]float64{"conv": 1 / math.Sqrt(144), "linear": 1 / math.Sqrt(50), "bias": 1.0 / 3} {
		p, _ := ix.Lookup(name)
		var sum, squares, largest float64
		for _, v := range p.Of(flat) {
			sum += float64(v)
			squares += float64(v) * float64(v)
			largest = max(largest, math.Abs(float64(v)))
		}
		n := float64(p.Size())
		if largest > bound*(1+1e-6) || largest < 0.95*bound {
			t.Errorf("%s: the largest value is %v, the bound %v", name, largest, bound)
		}
		// A uniform distribution on ±b has the standard deviation b/sqrt(3).
		if sd := math.Sqrt(squares / n); math.Abs(sd-bound/math.Sqrt(3)) > 0.05*bound || math.Abs(sum/n) > 0.05*bound {
			t.Errorf("%s: mean %v, standard deviation %v", name, sum/n, sd)
		}
	}
	scale, _ := ix.Lookup("scale")
	shift, _ := ix.Lookup("shift")
	if diff := cmp.Diff([]float32{1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0}, append(scale.Of(flat), shift.Of(flat)...)); diff != "" {
		t.Error(diff)
	}
}

func TestIndexSurvivesItsFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var ix params.Index
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,5}(\.[a-z0-9]{1,4})?`), 0, 6, rapid.ID).Draw(rt, "names") {
			shape := rapid.SliceOfN(rapid.IntRange(1, 5), 0, 4).Draw(rt, "shape")
			if err := ix.Add(name, params.Bias(rapid.IntRange(1, 99).Draw(rt, "fan-in")), shape...); err != nil {
				rt.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "parameters.json")
		if err := ix.Save(path); err != nil {
			rt.Fatal(err)
		}
		got, err := params.Load(path)
		if err != nil {
			rt.Fatal(err)
		}
		if !got.Equal(&ix) || got.Total() != ix.Total() {
			rt.Fatalf("got %+v, want %+v", got, ix)
		}
		compact, err := json.Marshal(&ix)
		if err != nil {
			rt.Fatal(err)
		}
		var again params.Index
		if err := json.Unmarshal(compact, &again); err != nil || !again.Equal(&ix) {
			rt.Fatalf("compact form: %v, %+v", err, again)
		}
	})
}

func TestLoadRefusesInconsistentIndexes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"gap":       {`{"total":5,"parameters":[{"name":"a","shape":[2],"offset":0,"init":"ones"},{"name":"b","shape":[2],"offset":3,"init":"ones"}]}`, `"b" begins at 3`},
		"total":     {`{"total":5,"parameters":[{"name":"a","shape":[2],"offset":0,"init":"ones"}]}`, "total is 5"},
		"twice":     {`{"total":2,"parameters":[{"name":"a","shape":[1],"offset":0,"init":"ones"},{"name":"a","shape":[1],"offset":1,"init":"ones"}]}`, "there is one of this name"},
		"init":      {`{"total":2,"parameters":[{"name":"a","shape":[2],"offset":0,"init":"twos"}]}`, "unknown initialization"},
		"too large": {`{"total":2,"parameters":[{"name":"a","shape":[4294967296,4294967296],"offset":0,"init":"ones"}]}`, "larger than a vector"},
		"negative":  {`{"total":2,"parameters":[{"name":"a","shape":[-2],"offset":0,"init":"ones"}]}`, "no elements"},
		"key":       {`{"total":2,"size":3,"parameters":[]}`, "unknown field"},
		"truncated": {`{"total":2,"param`, "unexpected end"},
	} {
		path := filepath.Join(t.TempDir(), "parameters.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := params.Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v does not contain %q and the path", name, err, c.want)
		}
	}
}

func TestCopyByName(t *testing.T) {
	var super, child params.Index
	for _, n := range []string{"edge0.conv1", "edge0.conv3", "head"} {
		if err := super.Add(n, params.Ones, 2); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"head", "edge0", "fresh"} {
		if err := child.Add(n, params.Ones, 2); err != nil {
			t.Fatal(err)
		}
	}
	src, dst := []float32{1, 2, 3, 4, 5, 6}, []float32{-1, -1, -1, -1, -1, -1}
	rename := func(name string) (string, bool) {
		switch name {
		case "edge0":
			return "edge0.conv3", true
		case "fresh":
			return "", false
		}
		return name, true
	}
	n, err := params.Copy(dst, &child, src, &super, rename)
	if err != nil || n != 2 {
		t.Fatalf("Copy = %d, %v", n, err)
	}
	if diff := cmp.Diff([]float32{5, 6, 3, 4, -1, -1}, dst); diff != "" {
		t.Error(diff)
	}
	if _, err := params.Copy(dst, &child, src, &super, nil); err == nil || !strings.Contains(err.Error(), `"edge0"`) {
		t.Errorf("missing source: %v", err)
	}
	if diff := cmp.Diff([]float32{5, 6, 3, 4, -1, -1}, dst); diff != "" {
		t.Errorf("a failed copy changed the destination: %s", diff)
	}
}
