package sampling

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

// A model that learns one architecture after the other says what neighborhood.Process says, which is held against
// scikit-learn, in whatever order it is asked.
func TestModelIsTheProcess(t *testing.T) {
	for _, sp := range []*space.Space{space.NASBench201(), space.DARTS()} {
		t.Run(sp.Name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
				st := neighborhood.ProcessSettings{Length: rapid.Float64Range(0.5, 5).Draw(rt, "length"), Noise: rapid.Float64Range(0.05, 3).Draw(rt, "noise")}
				process, err := neighborhood.NewProcess(st)
				if err != nil {
					rt.Fatal(err)
				}
				m := newModel(sp, st)
				asked := []space.Architecture{sp.Random(rng), sp.Random(rng)}
				points := []*point{m.at(asked[0]), m.at(asked[1])}
				var known []space.Architecture
				var scores []float64
				for n := range rapid.IntRange(1, 15).Draw(rt, "n") {
					known, scores = append(known, sp.Random(rng)), append(scores, rng.NormFloat64())
					m.learn(known[n])
					b := m.solve(scores)
					if n%3 == 0 {
						b.of(points[0]) // points are extended at any time
					}
				}
				post, err := process.Fit(sp, known, scores)
				if err != nil {
					rt.Fatal(err)
				}
				b := m.solve(scores)
				for i, a := range asked {
					mean, std := post.At(a)
					if len(known) == 1 {
						std = 1 // without any spread the model takes a unit
						_, std = b.of(points[i])
					}
					if gotMean, gotStd := b.of(points[i]); math.Abs(gotMean-mean) > 1e-6 || math.Abs(gotStd-std) > 1e-6 {
						rt.Fatalf("at %v: %v ± %v, the process has %v ± %v", a, gotMean, gotStd, mean, std)
					}
				}
			})
		})
	}
}

// The mean over a neighborhood has the mean of the members' means, and the variance that the members' covariances add up to.
func TestModelOfNeighborhoods(t *testing.T) {
	sp := &space.Space{Name: "small", Nodes: 3, Edges: []space.Edge{{From: 0, To: 1}, {From: 0, To: 2}, {From: 1, To: 2}}, Operations: []string{"a", "b", "c"}}
	for _, include := range []bool{false, true} {
		for radius := 1; radius <= 2; radius++ {
			m := newModel(sp, neighborhood.ProcessSettings{Length: 2, Noise: 0.3})
			decay := func(d int) float64 { return math.Pow(0.5, float64(d)) }
			template := m.overNeighborhood(space.Architecture{1, 1, 1}, radius, include, decay)
			rng := rand.New(rand.NewPCG(3, 4))
			var scores []float64
			for range 6 {
				m.learn(sp.Random(rng))
				scores = append(scores, rng.NormFloat64())
			}
			b := m.solve(scores)
			center := space.Architecture{0, 2, 1}
			members := sp.Neighbors(center, radius)
			if include {
				members = append(members, center)
			}
			total, want, variance := 0.0, 0.0, 0.0
			for _, a := range members {
				w := decay(sp.Distance(a, center))
				mean, _ := b.of(m.at(a))
				total += w
				want += w * mean
			}
			for _, a := range members {
				for _, c := range members {
					p, q := m.at(a), m.at(c)
					m.extend(p)
					m.extend(q)
					w := decay(sp.Distance(a, center)) * decay(sp.Distance(c, center)) / total / total
					variance += w * (m.kernel[sp.Distance(a, c)] - dot(p.column, q.column))
				}
			}
			mean, std := b.of(template.around(center))
			if math.Abs(mean-want/total) > 1e-9 || math.Abs(std-b.signal*math.Sqrt(variance)) > 1e-9 {
				t.Errorf("radius %d, center %v: %v ± %v, want %v ± %v", radius, include, mean, std, want/total, b.signal*math.Sqrt(variance))
			}
		}
	}
}

// gain tells by how much a further score makes a variance smaller.
func TestModelGain(t *testing.T) {
	sp := space.NASBench201()
	rng := rand.New(rand.NewPCG(3, 4))
	m := newModel(sp, neighborhood.ProcessSettings{Length: 2, Noise: 0.3})
	for range 10 {
		m.learn(sp.Random(rng))
	}
	center, next := sp.Random(rng), sp.Random(rng)
	of := m.overNeighborhood(center, 1, true, func(int) float64 { return 1 })
	gain := m.gain(of, m.at(next))
	before := of.rest
	m.learn(next)
	m.extend(of)
	if got := before - of.rest; math.Abs(got-gain) > 1e-12 || gain <= 0 {
		t.Errorf("the variance falls by %v, %v was expected", got, gain)
	}
}

func TestFlooredScores(t *testing.T) {
	for _, c := range []struct{ scores, want []float64 }{
		{nil, nil},
		{[]float64{3}, []float64{3}},
		{[]float64{5, 1, 4, 3, -90}, []float64{5, 1, 4, 3, 1}}, // the median is 3, the best 5
		{[]float64{2, 2, 2, 1}, []float64{2, 2, 2, 1}},         // most are the best: the rest is what differs
		{[]float64{2, 2}, []float64{2, 2}},
	} {
		if got := floored(c.scores); !slices.Equal(got, c.want) {
			t.Errorf("%v become %v, want %v", c.scores, got, c.want)
		}
	}
}
