package architecture

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

const (
	conv3, conv1, skip, none = "nor_conv_3x3", "nor_conv_1x1", "skip_connect", "none"
	allConv                  = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)

// Every bound on the benchmark's skeleton gives what its operations add up to: a skeleton of 7,783,040 multiply-adds, and a 3x3
// convolution on an edge 35,389,440, nine times that of a 1x1 convolution.
func TestLargestOfNASBench201(t *testing.T) {
	for _, c := range []struct {
		bound      string
		want       []string // operations
		operations float64
		share      float64
	}{
		{"", []string{conv3, conv3, conv3, conv3, conv3, conv3}, 220119680, 1},
		{", at_most: {multiply_adds: 1}", []string{conv3, conv3, conv3, conv3, conv3, conv3}, 220119680, 1},
		{", at_most: {multiply_adds: 0.5}", []string{conv1, conv1, conv1, conv1, conv3, conv3}, 94290560, 0.42836},
		{", at_most: {multiply_adds: 0.25}", []string{skip, skip, conv1, conv1, conv1, conv3}, 54968960, 0.24972},
		{", at_most: {multiply_adds: 8e6}", []string{skip, skip, skip, skip, skip, skip}, 7783040, 0.03536},
		{", at_most: {multiply_adds: 0.5, parameters: 0.06}", []string{skip, skip, skip, skip, skip, skip}, 7783040, 0.03536},
	} {
		got, res := given(t, "{space: nasbench201, choose: largest"+c.bound+"}")
		if !slices.Equal(got.Operations, c.want) || got.Algorithm != Largest || got.Seed != 0 || len(got.Candidates) != 1 {
			t.Errorf("%s: %+v", c.bound, got)
		}
		if m := res.Metrics; m[cost.MultiplyAdds] != c.operations || m[ShareMetric] < c.share-1e-5 || m[ShareMetric] > c.share+1e-5 {
			t.Errorf("%s: %v, want %v and %v", c.bound, m, c.operations, c.share)
		}
	}
}

// Several are handed on, the largest first, and no two of them are the same.
func TestSeveralOfTheLargest(t *testing.T) {
	got, _ := given(t, "{space: nasbench201, choose: largest, at_most: {multiply_adds: 0.5}, candidates: 40}")
	if len(got.Candidates) != 40 || got.Candidates[0].Architecture != got.Architecture {
		t.Fatalf("%d candidates, the first %v", len(got.Candidates), got.Candidates[0])
	}
	seen := map[string]bool{}
	for i, c := range got.Candidates {
		if seen[c.Architecture] || c.Metrics[ShareMetric] > 0.5 || i > 0 && c.Metrics[cost.MultiplyAdds] > got.Candidates[i-1].Metrics[cost.MultiplyAdds] {
			t.Errorf("candidate %d: %+v", i, c)
		}
		seen[c.Architecture] = true
	}
}

func TestPublishedCells(t *testing.T) {
	const resnet = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
	chosen, res := given(t, "{space: nasbench201, choose: published}")
	named, _ := given(t, "{space: nasbench201, genotype: resnet}")
	if chosen.Architecture != resnet || chosen.Algorithm != Published || named.Architecture != resnet || named.Algorithm != "given" || res.Metrics[cost.Parameters] == 0 {
		t.Errorf("%+v, %+v", chosen, named)
	}
	if a, _ := given(t, "{space: nasbench201, genotype: all_c3x3}"); a.Architecture != allConv {
		t.Error(a.Architecture)
	}
	darts, _ := given(t, "{choose: published, network: {channels: 4, cells: 3}}")
	if g, _ := given(t, "genotype: DARTS_V2"); darts.Architecture != g.Architecture {
		t.Error(darts.Architecture)
	}
}

// Random candidates are different, keep the bound, follow the seed, and are all there are where there are fewer.
func TestRandomCandidates(t *testing.T) {
	run := func(seed uint64, settings string) *result.Architecture {
		res := stagetest.Run{Kind: kind(t), Settings: settings, Seed: seed}.Must(t)
		a, err := result.ReadArchitecture(res.Outputs["architecture"])
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	const some = "{space: nasbench201, choose: random, candidates: 12, at_most: {multiply_adds: 0.25}}"
	one, again, other := run(1, some), run(1, some), run(2, some)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Error(diff)
	}
	if one.Architecture == other.Architecture || other.Seed != 2 || len(one.Candidates) != 12 {
		t.Errorf("%+v, %+v", one, other)
	}
	seen := map[string]bool{}
	for _, c := range one.Candidates {
		if seen[c.Architecture] || c.Metrics[ShareMetric] > 0.25 {
			t.Errorf("%+v", c)
		}
		seen[c.Architecture] = true
	}
	// Without convolutions there are 3 operations on 6 edges.
	if all := run(1, "{space: nasbench201, choose: random, candidates: 1000, at_most: {multiply_adds: 8e6}}"); len(all.Candidates) != 729 {
		t.Errorf("%d candidates instead of 729", len(all.Candidates))
	}
	if big := run(3, "{choose: random, candidates: 3, at_most: {parameters: 0.5}, network: {channels: 4, cells: 3}}"); len(big.Candidates) != 3 || big.Space != "darts" {
		t.Errorf("%+v", big)
	}
}

// A space with a single architecture under the bound has that one as the largest and as the only random one.
func TestPoolOfOne(t *testing.T) {
	sp, err := space.Declaration{Name: "tiny", Nodes: 3, Edges: []string{"1<-0", "2<-1"}, Operations: []string{"nor_conv_1x1", "nor_conv_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	p := poolOf(t, sp, 1)
	if err := p.bind(Bounds{MultiplyAdds: float64(p.least.MultiplyAdds)}); err != nil {
		t.Fatal(err)
	}
	for name, choose := range map[string]func() ([]space.Architecture, error){
		"largest": func() ([]space.Architecture, error) { return p.largest(5) },
		"random":  func() ([]space.Architecture, error) { return p.random(5, seed.New(1)) },
	} {
		if got, err := choose(); err != nil || len(got) != 1 || !got[0].Equal(space.Architecture{0, 0}) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func poolOf(t *testing.T, sp *space.Space, cells int) *pool {
	t.Helper()
	counter, err := cost.NewCounter(sp, supernet.Macro{Channels: 4, Cells: cells, Classes: 10, Image: [3]int{3, 16, 16}})
	if err != nil {
		t.Fatal(err)
	}
	return newPool(sp, counter)
}

// What is found size by size is as large as what is found by looking at everything.
func TestSizesFindTheLargest(t *testing.T) {
	declared, err := space.Declaration{Name: "mine", Nodes: 4, Operations: []string{"sep_conv_5x5", "nor_conv_3x3", "dep_conv_3x3", "skip_connect"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	p := poolOf(t, declared, 1)
	for _, b := range []Bounds{{}, {MultiplyAdds: 0.7}, {MultiplyAdds: 0.4}, {MultiplyAdds: 0.55, Parameters: 0.5}, {Parameters: 0.3}} {
		if err := p.bind(b); err != nil {
			t.Fatal(err)
		}
		all, err := p.largest(1)
		if err != nil {
			t.Fatal(err)
		}
		var best *rated
		for _, st := range p.sizes() {
			r := rated{a: st.a, useful: st.size.MultiplyAdds, size: st.size, none: st.none}
			if best == nil || r.compare(*best) < 0 {
				best = &r
			}
		}
		if !best.a.Equal(all[0]) {
			t.Errorf("%+v: %s size by size, %s of all", b, declared.Format(best.a), declared.Format(all[0]))
		}
	}
}

// In the DARTS space the largest has the 5x5 separable convolution on every edge, and under a bound none of many random ones is
// larger.
func TestLargestOfDARTS(t *testing.T) {
	sp := space.DARTS()
	if sp.BigSize().Cmp(big.NewInt(enumerable)) < 0 {
		t.Fatal("the space is small enough to look at all")
	}
	p := poolOf(t, sp, 3)
	if err := p.bind(Bounds{}); err != nil {
		t.Fatal(err)
	}
	all, err := p.largest(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sp.OperationNames(all[0]) {
		if name != "sep_conv_5x5" {
			t.Error(sp.Format(all[0]))
		}
	}
	if size := p.count.All(all[0]); size != p.top {
		t.Errorf("%+v, the most there is is %+v", size, p.top)
	}
	if err := p.bind(Bounds{MultiplyAdds: 0.6}); err != nil {
		t.Fatal(err)
	}
	some, err := p.largest(3)
	if err != nil {
		t.Fatal(err)
	}
	best := p.count.All(some[0])
	if len(some) != 3 || !p.keeps(best) {
		t.Errorf("%d, %+v", len(some), best)
	}
	rng := seed.New(1)
	for range 20000 {
		if size := p.count.All(sp.Random(rng)); p.keeps(size) && size.MultiplyAdds > best.MultiplyAdds {
			t.Fatalf("a random one is larger: %+v", size)
		}
	}
}

// Latencies are measured, so what they are is put in here: with the sizes of a space that has one for each number of convolutions.
func TestLatencyBounds(t *testing.T) {
	sp := space.NASBench201()
	timed := 0
	open := func(b Bounds) *pool {
		p := poolOf(t, sp, 1)
		if err := p.bind(b); err != nil {
			t.Fatal(err)
		}
		p.measure = func(a space.Architecture) (float64, error) {
			timed++
			return float64(1 + sp.CountOperation(a, conv3)), nil // 7 ms for the largest
		}
		if err := p.bindLatency(b); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		bounds Bounds
		convs  int
	}{{Bounds{LatencyMS: 7}, 6}, {Bounds{LatencyMS: 4.5}, 3}, {Bounds{Latency: 0.5}, 2}, {Bounds{Latency: 0.9, MultiplyAdds: 0.5}, 2}, {Bounds{LatencyMS: 1}, 0}} {
		timed = 0
		got, err := open(c.bounds).largest(1)
		if err != nil || sp.CountOperation(got[0], conv3) != c.convs || timed > mostTimed+1 {
			t.Errorf("%+v: %v after %d timed, %v", c.bounds, got, timed, err)
		}
	}
	p := open(Bounds{LatencyMS: 2})
	some, err := p.random(5, seed.New(1))
	if err != nil || len(some) != 5 {
		t.Fatal(some, err)
	}
	for _, a := range some {
		if sp.CountOperation(a, conv3) > 1 || p.times[a.Key()] > 2 {
			t.Errorf("%s takes %v ms", sp.Format(a), p.times[a.Key()])
		}
	}
	if _, err := open(Bounds{LatencyMS: 0.5}).largest(1); err == nil || !strings.Contains(err.Error(), "at_most.latency_ms: of the 64 architectures of the space nasbench201 that were timed none takes 0.5 ms or less; the fastest takes 1 ms") {
		t.Error(err)
	}
	// And what is really measured is among the metrics.
	_, res := given(t, "{space: nasbench201, choose: largest, at_most: {latency_ms: 10000}, network: {channels: 4, cells: 1}}")
	if a, _ := given(t, "{space: nasbench201, choose: largest, at_most: {latency: 1, multiply_adds: 0.9}, network: {channels: 4, cells: 1}}"); !(a.Candidates[0].Metrics[cost.Latency] > 0) || res.Metrics[ShareMetric] != 1 {
		t.Errorf("%+v", a.Candidates)
	}
}

// The space of a supernet and the images of a dataset that are connected count.
func TestChoiceFromASupernet(t *testing.T) {
	custom := space.Declaration{Name: "mine", Nodes: 3, Operations: []string{"none", "nor_conv_3x3", "max_pool_3x3"}}
	in := stagetest.InputsOf(t, stagetest.DefaultImages(), func(s *supernet.Settings) { s.Space, s.Custom = "custom", &custom })
	inputs := map[string]pipeline.Artifact{"dataset": in["dataset"], "path": in["path"]}
	res := stagetest.Run{Kind: kind(t), Settings: "{choose: largest, network: {channels: 2, cells: 1}}", Inputs: inputs}.Must(t)
	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	if err != nil || !slices.Equal(a.Operations, []string{conv3, conv3, conv3}) {
		t.Errorf("%+v %v", a, err)
	}
	sp, _, err := a.Parse()
	if err != nil {
		t.Fatal(err)
	}
	index, _, err := supernet.Network{Space: sp.Reference(), Architecture: a.Architecture, Macro: stagetest.Macro()}.Indexes()
	if err != nil || res.Metrics[cost.Parameters] != float64(index.Total()) {
		t.Errorf("%v parameters, the network has %d: %v", res.Metrics, index.Total(), err)
	}
	if res := (stagetest.Run{Kind: kind(t), Settings: "choose: published", Inputs: inputs}).Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "nothing is published of the space mine") {
		t.Error(res.Err)
	}
}

func TestMistakesOfAChoice(t *testing.T) {
	with := func(change func(*Settings)) Settings {
		s := DefaultSettings()
		s.Choose, s.Space = Largest, "nasbench201"
		change(&s)
		return s
	}
	for _, c := range []struct {
		settings   Settings
		path, want string
	}{
		{with(func(s *Settings) { s.Choose = "larges" }), "choose", `unknown value "larges"`},
		{with(func(s *Settings) { s.Genotype = "resnet" }), "genotype", "remove one of the two"},
		{with(func(s *Settings) { s.Path = "a.json" }), "path", "remove one of the two"},
		{with(func(s *Settings) { s.Candidates = 0 }), "candidates", "at least 1"},
		{with(func(s *Settings) { s.AtMost.MultiplyAdds = -1 }), "at_most.multiply_adds", "a share of the largest"},
		{with(func(s *Settings) { s.AtMost.Latency = 1.5 }), "at_most.latency", "milliseconds under latency_ms"},
		{with(func(s *Settings) { s.AtMost.Latency, s.AtMost.LatencyMS = 0.5, 2 }), "at_most.latency_ms", "bounded twice"},
		{with(func(s *Settings) { s.Choose = Published; s.AtMost.Parameters = 0.5 }), "at_most", "whatever it costs"},
		{with(func(s *Settings) { s.Network.Channels = 0 }), "network.channels", "at least 1"},
		{with(func(s *Settings) { s.Network.Stem = "imagenet" }), "network.stem", "no stem of the space nasbench201"},
		{with(func(s *Settings) { s.Choose, s.Genotype, s.AtMost.MultiplyAdds = "", "resnet", 0.5 }), "at_most", "set choose"},
		{with(func(s *Settings) { s.Choose, s.Genotype, s.Candidates = "", "resnet", 4 }), "candidates", "set choose"},
	} {
		var setting *pipeline.SettingError
		if err := c.settings.Validate(); !errors.As(err, &setting) || setting.Path != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %s with %q", err, c.path, c.want)
		}
	}
	for settings, want := range map[string]string{
		"{space: nasbench201, choose: largest, at_most: {multiply_adds: 0.03}}":                   "at_most.multiply_adds: no architecture of the space nasbench201 has 6.60359e+06 or fewer multiply-adds: the smallest has 7783040, the largest 220119680; give at least 0.03541 as a share, or 7783040",
		"{space: nasbench201, choose: random, at_most: {parameters: 100}}":                        "at_most.parameters: no architecture of the space nasbench201 has 100 or fewer parameters",
		"{choose: random, network: {channels: 4, cells: 3}, at_most: {multiply_adds: 2}}":         "at_most.multiply_adds: no architecture of the space darts has 2 or fewer multiply-adds",
		"{choose: largest, network: {channels: 4, cells: 3}, at_most: {multiply_adds: 2}}":        "at_most.multiply_adds: no architecture of the space darts has 2 or fewer multiply-adds",
		"{choose: random, network: {channels: 4, cells: 3}, at_most: {multiply_adds: 0.0000001}}": "at_most.multiply_adds: no architecture of the space darts",
	} {
		if res := (stagetest.Run{Kind: kind(t), Settings: settings}).Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v, want %s", settings, res.Err, want)
		}
	}
}

func TestPlainNetworkIsGiven(t *testing.T) {
	a, res := given(t, "{space: plain, genotype: resnet9}")
	if a.Space != "plain" || a.Architecture != "resnet9" || !slices.Equal(a.Operations, []string{"resnet9"}) || res.Summary != "plain: resnet9" {
		t.Errorf("%+v %q", a, res.Summary)
	}
	s := DefaultSettings()
	s.Space, s.Choose = "plain", Largest
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "choose: the space plain has nothing to choose from; name one of its networks: genotype: resnet9") {
		t.Error(err)
	}
}
