package sampling

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
)

func entries(archs []space.Architecture) []*entry {
	var out []*entry
	for _, a := range archs {
		out = append(out, &entry{arch: a})
	}
	return out
}

// testdata/generate_parzen.py makes the values.
func TestDensitiesAreThoseOfOptuna(t *testing.T) {
	data, err := os.ReadFile("testdata/parzen.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Good  [][2]int
		Cases []struct {
			Known, Asked []space.Architecture
			LogDensity   []float64 `json:"log_density"`
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) < 8 || len(want.Good) < 8 {
		t.Fatalf("%d cases and %d numbers of good ones", len(want.Cases), len(want.Good))
	}
	for _, c := range want.Cases {
		p := newParzen(newChoices(space.NASBench201()), entries(c.Known))
		for i, a := range c.Asked {
			if got := p.logDensity(p.choices.of(a)); math.Abs(got-c.LogDensity[i]) > 1e-9 {
				t.Errorf("of %d known, at %v: %v, Optuna has %v", len(c.Known), a, got, c.LogDensity[i])
			}
		}
	}
	for _, c := range want.Good {
		if got := goodOf(c[0]); got != c[1] {
			t.Errorf("%d of %d are good, with Optuna %d", got, c[0], c[1])
		}
	}
}

// What is drawn from a density comes as often as the density says.
func TestDrawsFollowTheDensity(t *testing.T) {
	sp := &space.Space{Name: "two", Nodes: 3, Edges: []space.Edge{{From: 0, To: 1}, {From: 1, To: 2}}, Operations: []string{"a", "b", "c"}}
	p := newParzen(newChoices(sp), entries([]space.Architecture{{0, 1}, {0, 1}, {2, 2}}))
	rng := rand.New(rand.NewPCG(5, 6))
	const draws = 200_000
	count := map[string]float64{}
	for range draws {
		count[p.choices.architecture(p.draw(rng)).Key()]++
	}
	sum := 0.0
	for a := range sp.All() {
		want := math.Exp(p.logDensity(p.choices.of(a)))
		sum += want
		if got := count[a.Key()] / draws; math.Abs(got-want) > 5*math.Sqrt(want/draws) {
			t.Errorf("%v is drawn with frequency %v, its density is %v", a, got, want)
		}
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the density sums up to %v", sum)
	}
}

// An architecture is its choices, and every choice is one of an architecture.
func TestChoicesAreArchitectures(t *testing.T) {
	for _, sp := range []*space.Space{space.NASBench201(), space.DARTS()} {
		t.Run(sp.Name, func(t *testing.T) {
			c := newChoices(sp)
			size := 1.0
			for _, n := range c.sizes {
				size *= float64(n)
			}
			if all, _ := sp.BigSize().Float64(); math.Abs(size/all-1) > 1e-12 {
				t.Errorf("there are %v choices and %v architectures", size, all)
			}
			rapid.Check(t, func(rt *rapid.T) {
				chosen := make([]int, len(c.sizes))
				for i, n := range c.sizes {
					chosen[i] = rapid.IntRange(0, n-1).Draw(rt, "choice")
				}
				a := c.architecture(chosen)
				if err := sp.Check(a); err != nil {
					rt.Fatal(err)
				}
				for i, k := range c.of(a) {
					if k != chosen[i] {
						rt.Fatalf("%v becomes %v becomes %v", chosen, a, c.of(a))
					}
				}
			})
		})
	}
}
