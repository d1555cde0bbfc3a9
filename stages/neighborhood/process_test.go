package neighborhood_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

func process(t *testing.T, length, noise float64) *neighborhood.Process {
	t.Helper()
	p, err := neighborhood.NewProcess(neighborhood.ProcessSettings{Length: length, Noise: noise})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fit(t *testing.T, p *neighborhood.Process, s *space.Space, known []space.Architecture, scores []float64) *neighborhood.Posterior {
	t.Helper()
	post, err := p.Fit(s, known, scores)
	if err != nil {
		t.Fatal(err)
	}
	return post
}

// testdata/generate_process.py makes the values.
func TestProcessIsThatOfScikitLearn(t *testing.T) {
	data, err := os.ReadFile("testdata/process.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name          string
		Length, Noise float64
		Known, Asked  []space.Architecture
		Scores        []float64
		Mean, Std     []float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 5 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			post := fit(t, process(t, c.Length, c.Noise), space.NASBench201(), c.Known, c.Scores)
			for i, a := range c.Asked {
				mean, std := post.At(a)
				if math.Abs(mean-c.Mean[i]) > 1e-7 || math.Abs(std-c.Std[i]) > 1e-7*max(1, c.Std[i]) {
					t.Errorf("at %v: %.9f ± %.9f, scikit-learn has %.9f ± %.9f", a, mean, std, c.Mean[i], c.Std[i])
				}
			}
		})
	}
}

func TestProcessWithoutSpread(t *testing.T) {
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(1, 2))
	one, two, other := s.Random(rng), s.Random(rng), s.Random(rng)
	for name, c := range map[string]struct {
		known  []space.Architecture
		scores []float64
	}{
		"a single score":       {[]space.Architecture{one}, []float64{-0.7}},
		"equal scores":         {[]space.Architecture{one, two}, []float64{-0.7, -0.7}},
		"the same one, thrice": {[]space.Architecture{one, one, one}, []float64{-0.7, -0.7, -0.7}},
	} {
		for _, noise := range []float64{0, 1} {
			post := fit(t, process(t, 2, noise), s, c.known, c.scores)
			if mean, std := post.At(other); mean != -0.7 || std != 0 {
				t.Errorf("%s, noise %v: %v ± %v", name, noise, mean, std)
			}
		}
	}
}

// Without noise an architecture that was measured twice has the mean of both scores, and everything else its own.
func TestProcessWithoutNoise(t *testing.T) {
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(1, 2))
	var known []space.Architecture
	var scores []float64
	for range 20 {
		known, scores = append(known, s.Random(rng)), append(scores, rng.NormFloat64())
	}
	known, scores = append(known, known[0]), append(scores, scores[0]+1)
	post := fit(t, process(t, 2, 0), s, known, scores)
	if post.Known() != 21 {
		t.Errorf("it stands on %d scores", post.Known())
	}
	for i, a := range known[:20] {
		want := scores[i]
		if i == 0 {
			want += 0.5
		}
		if mean, std := post.At(a); math.Abs(mean-want) > 1e-4 || std > 1e-3 {
			t.Errorf("%d: %v ± %v, the score is %v", i, mean, std, want)
		}
	}
}

func TestProcessRefuses(t *testing.T) {
	s := space.NASBench201()
	p := process(t, 2, 1)
	a, b := space.Architecture{1, 1, 1, 1, 1, 1}, space.Architecture{3, 3, 3, 3, 3, 3}
	for want, c := range map[string]struct {
		known  []space.Architecture
		scores []float64
	}{
		"at least one is needed": {nil, nil},
		"2 architectures with 1": {[]space.Architecture{a, b}, []float64{1}},
		"is NaN":                 {[]space.Architecture{a, b}, []float64{1, math.NaN()}},
		"is +Inf":                {[]space.Architecture{a, b}, []float64{1, math.Inf(1)}},
		"has 2 operations":       {[]space.Architecture{a, {1, 2}}, []float64{1, 2}},
	} {
		if _, err := p.Fit(s, c.known, c.scores); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v %v: error %v, want one with %q", c.known, c.scores, err, want)
		}
	}
	for _, st := range []neighborhood.ProcessSettings{{Length: 0, Noise: 1}, {Length: math.NaN(), Noise: 1}, {Length: 2, Noise: -1}, {Length: 2, Noise: math.Inf(1)}} {
		if _, err := neighborhood.NewProcess(st); err == nil {
			t.Errorf("%+v is accepted", st)
		}
	}
}

// Scores in another unit move the posterior as they move themselves, in any space.
func TestProcessProperties(t *testing.T) {
	for _, s := range []*space.Space{space.NASBench201(), space.DARTS()} {
		t.Run(s.Name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
				n := rapid.IntRange(2, 12).Draw(rt, "n")
				length, noise := rapid.Float64Range(0.3, 6).Draw(rt, "length"), rapid.Float64Range(0.01, 4).Draw(rt, "noise")
				scale, shift := rapid.Float64Range(0.01, 100).Draw(rt, "scale"), rapid.Float64Range(-50, 50).Draw(rt, "shift")
				var known []space.Architecture
				var scores, moved []float64
				for range n {
					v := rng.NormFloat64()
					known, scores, moved = append(known, s.Random(rng)), append(scores, v), append(moved, scale*v+shift)
				}
				p := process(t, length, noise)
				one, other := fit(t, p, s, known, scores), fit(t, p, s, known, moved)
				for _, a := range append(known[:2:2], s.Random(rng)) {
					m, sd := one.At(a)
					m2, sd2 := other.At(a)
					if math.Abs(scale*m+shift-m2) > 1e-7*(1+scale) || math.Abs(scale*sd-sd2) > 1e-7*(1+scale) || sd < 0 {
						rt.Fatalf("%v ± %v becomes %v ± %v by the factor %v and %v added", m, sd, m2, sd2, scale, shift)
					}
				}
			})
		})
	}
}
