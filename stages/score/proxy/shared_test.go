package proxy

import (
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// declared is a space whose operations have several layers; those of curved are not linear.
func declared(t *testing.T, curved bool) *space.Space {
	t.Helper()
	d := space.Declaration{Name: "declared", Nodes: 3, Operations: []string{"none", "skip_connect", "sep_conv_5x5", "dil_conv_3x3", "nor_conv_3x3_d2", "avg_pool_3x3"}}
	if curved {
		d.Operations = []string{"none", "skip_connect", "nor_conv_3x3_hardswish", "dep_conv_3x3_gelu", "max_pool_3x3"}
	}
	s, err := d.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What graphs give that are told the architecture is what the architecture's own graphs give.
func TestSharedGraphsAgreeWithOwnOnes(t *testing.T) {
	for name, s := range map[string]*space.Space{"nasbench201": space.NASBench201(), "declared": declared(t, false), "curved": declared(t, true)} {
		t.Run(name, func(t *testing.T) {
			m := stagetest.Macro()
			m.Channels = 4
			st := Settings{Proxies: sharedNames(), Images: 8}
			e := evaluator(t, s, m, st)
			rng := rand.New(rand.NewPCG(3, 4))
			compared := 0
			for range 7 {
				a := s.Random(rng)
				net := supernet.Network{Space: s.Reference(), Architecture: s.Format(e.live(a)), Macro: m}
				index, _, err := net.Indexes()
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]float64{}
				wantErr := e.alone(t.Context(), net, index, initial(index, e.seed), st.Proxies, want)
				r, err := e.Evaluate(t.Context(), []space.Architecture{a})
				if err != nil {
					t.Fatal(err)
				}
				if wantErr != nil {
					if r[0].OK() || r[0].Failure != wantErr.Error() {
						t.Errorf("%s fails with %q instead of %q", net.Architecture, r[0].Failure, wantErr)
					}
					continue
				}
				for _, proxy := range st.Proxies {
					tolerance := 1e-4
					if proxy == ZiCo { // divides by the difference of two gradients, which may be as small as rounding
						tolerance = 1e-3
					}
					if d := math.Abs(r[0].Metrics[proxy] - want[proxy]); !(d <= tolerance*math.Abs(want[proxy])+1e-7) {
						t.Errorf("%s of %s is %v, by a graph of its own %v", proxy, net.Architecture, r[0].Metrics[proxy], want[proxy])
					}
				}
				compared++
			}
			if compared < 3 {
				t.Errorf("only %d architectures have values", compared)
			}
			if e.shared == nil || (e.shared.flow == nil) != (name == "curved") {
				t.Error("the graphs that all architectures share are not those that the space allows")
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Architectures that differ only in what has no bearing are computed once, and their own graphs agree that it has none.
func TestWhatHasNoBearingHasNone(t *testing.T) {
	s, m := space.NASBench201(), stagetest.Macro()
	names := []string{GradNorm, Snip, Grasp, Synflow, JacobCov, Fisher, Plain, ZiCo, Expressivity, Progressivity, Trainability}
	st := Settings{Proxies: names, Images: 4}
	e := evaluator(t, s, m, st)
	values := func(a space.Architecture) map[string]float64 {
		net := supernet.Network{Space: s.Reference(), Architecture: s.Format(a), Macro: m}
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		if err := e.alone(t.Context(), net, index, initial(index, 9), st.Proxies, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, a := range []space.Architecture{
		{3, 3, 3, 3, 0, 0}, // nothing leaves nodes 1 and 2
		{0, 2, 3, 1, 3, 3}, // node 1 is zero
		{2, 0, 0, 0, 3, 3}, // node 2 is zero
	} {
		live := e.live(a)
		if live.Key() == a.Key() {
			t.Errorf("%s is all live", s.Format(a))
		}
		if got, want := values(live), values(a); !maps.Equal(got, want) {
			t.Errorf("%s: %v instead of %v", s.Format(a), got, want)
		}
	}
}

// sharedNames returns the proxies that graphs shared by all architectures give.
func sharedNames() []string {
	return []string{JacobCov, Smoothness, Synflow, GradNorm, Snip, Plain, NASWOT, SWAP, ZiCo, Expressivity, Progressivity, Trainability, Zen}
}
