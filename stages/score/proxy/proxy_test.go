package proxy

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// torchValues returns the proxies of architectures as PyTorch computes them.
func torchValues(t *testing.T) map[string]map[string]float64 {
	t.Helper()
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 2 {
		t.Fatalf("%d architectures", len(want))
	}
	return want
}

// torchEvaluator returns an evaluator of the networks that PyTorch has.
func torchEvaluator(t *testing.T, names []string, batches ...batch) *Evaluator {
	n := len(batches[0].labels)
	return &Evaluator{
		settings: Settings{Proxies: names, Images: n}, runtime: stagetest.Runtime(t), space: space.NASBench201(),
		macro: supernet.Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}}, batches: batches,
	}
}

func compare(t *testing.T, names []string, arch string, got, want map[string]float64) {
	t.Helper()
	for _, name := range names {
		w, ok := want[name]
		if d := math.Abs(got[name] - w); !ok || !(d <= 2e-4*math.Abs(w)) {
			t.Errorf("%s of %s is %v, PyTorch has %v", name, arch, got[name], w)
		}
	}
}

func TestProxiesAgreeWithPyTorch(t *testing.T) {
	names := []string{GradNorm, Snip, Grasp, Synflow, JacobCov, Smoothness, Fisher, Plain}
	e := torchEvaluator(t, names, batch{torchtest.Noise(2, 6*3*8*8), []int64{1, 5, 2, 9, 0, 1}})
	for arch, want := range torchValues(t) {
		net := supernet.Network{Space: "nasbench201", Architecture: arch, Macro: e.macro}
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		if err := e.alone(t.Context(), net, index, torchtest.Fill(index), names, got); err != nil {
			t.Fatal(err)
		}
		compare(t, names, arch, got, want)
	}
}

func TestNewerProxiesAgreeWithPyTorch(t *testing.T) {
	const n = 30 // more than the bits of one code
	first, second := batch{images: torchtest.Noise(3, n*3*8*8)}, batch{images: torchtest.Noise(4, n*3*8*8)}
	for i := range int64(n) {
		first.labels, second.labels = append(first.labels, 7*i%10), append(second.labels, (3*i+1)%10)
	}
	names := []string{NASWOT, SWAP, ZiCo, Expressivity, Progressivity, Trainability}
	e := torchEvaluator(t, names, first, second)
	e.zen = zenInputs{torchtest.Noise(5, n*3*8*8), torchtest.Noise(6, n*3*8*8)}
	for i, v := range e.zen[0] {
		e.zen[1][i] = v + zenStep*e.zen[1][i]
	}
	e.signs = map[string]runtime.Tensor{}
	for i, shape := range e.macro.BlockShapes()[1:] {
		v := signs(rand.New(rand.NewPCG(0, 0)), n, shape)
		noise := torchtest.Noise(101+i, len(v.Data.([]float32)))
		for k, x := range noise {
			noise[k] = float32(math.Copysign(1, float64(x)))
		}
		v.Data = noise
		e.signs[fmt.Sprintf("%s%d", supernet.Signs, i+1)] = v
	}
	for arch, want := range torchValues(t) {
		full, _, err := supernet.Network{Space: "nasbench201", Architecture: arch, Macro: e.macro}.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.space.Parse(arch)
		if err != nil {
			t.Fatal(err)
		}
		// PyTorch's weights, without what has no bearing.
		net := supernet.Network{Space: "nasbench201", Architecture: e.space.Format(e.live(a)), Macro: e.macro}
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		weights := make([]float32, index.Total())
		if _, err := params.Copy(weights, index, torchtest.Fill(full), full, nil); err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		if err := e.alone(t.Context(), net, index, weights, names, got); err != nil {
			t.Fatal(err)
		}
		if got[Zen], err = e.zenAlone(t.Context(), net, index, weights); err != nil {
			t.Fatal(err)
		}
		compare(t, append(names, Zen), arch, got, want)
	}
}

func evaluator(t *testing.T, s *space.Space, m supernet.Macro, st Settings) *Evaluator {
	t.Helper()
	d := stagetest.Dataset(t, stagetest.DefaultImages())
	e, err := New(t.Context(), stagetest.Runtime(t), s, m, d.Train, d.Mean, d.Std, 5, st)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) {
	scoretest.Run(t, scoretest.Suite{
		Space: space.NASBench201(), Architectures: 3,
		Failing: []space.Architecture{{0, 0, 0, 0, 0, 0}}, // its logits do not depend on the images
		New: func(t *testing.T) score.Evaluator {
			return evaluator(t, space.NASBench201(), stagetest.Macro(), Settings{Proxies: []string{GradNorm, JacobCov}, Images: 4})
		},
	})
}

func TestTheDARTSSpace(t *testing.T) {
	s := space.DARTS()
	g, err := space.GenotypeByName("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Parse(g.String())
	if err != nil {
		t.Fatal(err)
	}
	m := stagetest.Macro()
	m.Cells = 2
	names := []string{Snip, Grasp, Fisher, Synflow, NASWOT, SWAP, SWAPRegularized, ZiCo, Zen, Parameters, MultiplyAdds}
	r, err := evaluator(t, s, m, Settings{Proxies: names, Images: 4, Log: true, SWAPMu: 10, SWAPSigma: 100}).Evaluate(t.Context(), []space.Architecture{a})
	if err != nil || !r[0].OK() || len(r[0].Metrics) != len(names) || r[0].Metrics[NASWOT] <= 0 || r[0].Metrics[SWAP] != 16 || r[0].Metrics[Snip] <= 0 || r[0].Metrics[Synflow] <= 0 || r[0].Metrics[Fisher] <= 0 {
		t.Errorf("%+v: %v", r, err)
	}
	if want := math.Log1p(r[0].Metrics[Snip]); r[0].Score != want {
		t.Errorf("the score is %v instead of the logarithm %v", r[0].Score, want)
	}
}

// A network without cells has what looks at no cells.
func TestWholeNetworks(t *testing.T) {
	m := stagetest.Macro()
	names := []string{Synflow, JacobCov, NASWOT, SWAP, ZiCo, Zen, Parameters}
	r, err := evaluator(t, space.Plain(), m, Settings{Proxies: names, Images: 4}).Evaluate(t.Context(), []space.Architecture{{0}})
	if err != nil || !r[0].OK() || len(r[0].Metrics) != len(names) || r[0].Metrics[Synflow] <= 0 || r[0].Metrics[NASWOT] <= 0 {
		t.Errorf("%+v: %v", r, err)
	}
}

// Cells of the DARTS space have two inputs, so what AZ-NAS looks at is not defined.
func TestBlocksThatDoNotFollowEachOther(t *testing.T) {
	d := stagetest.Dataset(t, stagetest.DefaultImages())
	_, err := New(t.Context(), stagetest.Runtime(t), space.DARTS(), stagetest.Macro(), d.Train, d.Mean, d.Std, 5, Settings{Proxies: []string{Progressivity}, Images: 4})
	if err == nil || !strings.Contains(err.Error(), "which the space darts does not have") {
		t.Errorf("%v", err)
	}
}

// Sizes are those of the architecture as it is written; the other values those of what has a bearing.
func TestSizesCountWhatHasNoBearing(t *testing.T) {
	st := Settings{Proxies: []string{SWAPRegularized, SWAP, Parameters, MultiplyAdds}, Images: 4, SWAPMu: 1, SWAPSigma: 0.5}
	e := evaluator(t, space.NASBench201(), stagetest.Macro(), st)
	r, err := e.Evaluate(t.Context(), []space.Architecture{{0, 3, 3, 3, 0, 0}, {0, 0, 0, 3, 0, 0}})
	if err != nil || !r[0].OK() || !r[1].OK() || e.Known() != 1 {
		t.Fatalf("%+v, %d computed: %v", r, e.Known(), err)
	}
	a, b := r[0].Metrics, r[1].Metrics
	if a[SWAP] != b[SWAP] || a[Parameters] <= b[Parameters] || a[MultiplyAdds] != b[MultiplyAdds] {
		t.Errorf("%v and %v", a, b)
	}
	for _, m := range []map[string]float64{a, b} {
		d := m[Parameters]/1000 - 1
		if want := m[SWAP] * math.Exp(-d*d/0.5); math.Abs(m[SWAPRegularized]-want) > 1e-12*want {
			t.Errorf("regularized it is %v instead of %v", m[SWAPRegularized], want)
		}
	}
}

// What one architecture lacks a value of fails, with a reason; the others have theirs.
func TestAnArchitectureWithoutAValueFailsAlone(t *testing.T) {
	skip, full := space.Architecture{0, 0, 0, 1, 0, 0}, space.Architecture{3, 3, 3, 3, 3, 3}
	for name, want := range map[string]string{Trainability: "passes on its input as it is", Expressivity: ""} {
		e := evaluator(t, space.NASBench201(), stagetest.Macro(), Settings{Proxies: []string{name}, Images: 4})
		r, err := e.Evaluate(t.Context(), []space.Architecture{skip, full})
		if err != nil || !r[1].OK() || r[0].OK() != (want == "") || !strings.Contains(r[0].Failure, want) {
			t.Errorf("%s: %+v: %v", name, r, err)
		}
	}
	zero := space.Architecture{0, 0, 0, 0, 0, 0}
	for _, name := range []string{JacobCov, NASWOT, Expressivity, Progressivity, Zen} {
		e := evaluator(t, space.NASBench201(), stagetest.Macro(), Settings{Proxies: []string{name}, Images: 4})
		r, err := e.Evaluate(t.Context(), []space.Architecture{zero, full})
		if err != nil || r[0].OK() || !strings.Contains(r[0].Failure, "has no value") || !r[1].OK() {
			t.Errorf("%s of nothing: %+v: %v", name, r, err)
		}
	}
}

// A deep network's synflow is beyond float32; the way around changes no digit.
func TestSynflowOfDeepNetworks(t *testing.T) {
	m := stagetest.Macro()
	m.Channels, m.Cells = 8, 6
	e := evaluator(t, space.NASBench201(), m, Settings{Proxies: []string{Synflow}, Images: 4})
	r, err := e.Evaluate(t.Context(), []space.Architecture{{3, 3, 3, 3, 3, 3}})
	if err != nil || !r[0].OK() || r[0].Score < math.MaxFloat32 {
		t.Errorf("%+v: %v", r, err)
	}
}

// Layers that two networks share begin with the same weights.
func TestSharedLayersBeginAlike(t *testing.T) {
	s := space.NASBench201()
	m := stagetest.Macro()
	first := map[string][]float32{}
	for _, a := range []space.Architecture{{3, 3, 1, 2, 3, 3}, {3, 2, 1, 2, 3, 3}} {
		index, _, err := supernet.Network{Space: s.Name, Architecture: s.Format(a), Macro: m}.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		flat := initial(index, 7)
		for _, p := range index.All() {
			if v, ok := first[p.Name]; ok && !slices.Equal(v, p.Of(flat)) {
				t.Errorf("%s begins differently", p.Name)
			}
			first[p.Name] = p.Of(flat)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for want, st := range map[string]Settings{
		`unknown value "sinflow"`: {Proxies: []string{"sinflow"}, Images: 4},
		"no proxy is given":       {Images: 4},
		"named twice":             {Proxies: []string{Snip, Snip}, Images: 4},
		"needs at least 2":        {Proxies: []string{Snip}, Images: 1},
		"swap_regularized needs":  {Proxies: []string{SWAPRegularized}, Images: 4, SWAPMu: 1},
		"no proxy uses it":        {Proxies: []string{SWAP}, Images: 4, SWAPMu: 1},
	} {
		if err := st.Validate("proxy"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
