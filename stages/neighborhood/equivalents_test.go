package neighborhood_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

// On the average so many of the 24 neighbors of an architecture of NAS-Bench-201 count.
func TestHowManyNeighborsCount(t *testing.T) {
	s := space.NASBench201()
	classes := space.NewClasses(s)
	for how, want := range map[string]float64{
		neighborhood.EquivalentsAll: 24, neighborhood.EquivalentsOnce: 18.49, neighborhood.EquivalentsLeftOut: 20.38,
	} {
		st := neighborhood.DefaultSettings()
		st.Equivalents = how
		count := 0
		for a := range s.All() {
			count += len(neighborhood.DrawOf(classes, a, st, nil)) - 1
		}
		if got := float64(count) / float64(s.Size()); math.Abs(got-want) > 0.005 {
			t.Errorf("%s: %.3f neighbors in the mean, want %.2f", how, got, want)
		}
	}
}

func TestDrawCountsAsTheSettingsSay(t *testing.T) {
	for _, s := range []*space.Space{space.NASBench201(), space.DARTS()} {
		t.Run(s.Name, func(t *testing.T) {
			architectures := spacetest.Architectures(s)
			if s.Pairs {
				architectures = spacetest.Genotypes(s)
			}
			classes := space.NewClasses(s)
			rapid.Check(t, func(t *rapid.T) {
				center, st := architectures.Draw(t, "center"), neighborhood.DefaultSettings()
				st.Equivalents = rapid.SampledFrom(neighborhood.Equivalents()[1:]).Draw(t, "equivalents")
				st.IncludeCenter = rapid.Bool().Draw(t, "include center")
				st.Samples = rapid.IntRange(0, 10).Draw(t, "samples")
				var counting []space.Architecture // in order, by the words of the setting
				met := map[string]bool{classes.Of(center): st.IncludeCenter}
				for _, a := range s.Neighbors(center, 1) {
					class := classes.Of(a)
					switch {
					case st.Equivalents == neighborhood.EquivalentsLeftOut && class == classes.Of(center):
						continue
					case st.Equivalents == neighborhood.EquivalentsOnce && met[class]:
						continue
					}
					met[class] = true
					counting = append(counting, a)
				}
				seed := rapid.Uint64().Draw(t, "seed")
				got := neighborhood.Draw(s, center, st, rng(seed))
				if diff := cmp.Diff(neighborhood.DrawOf(classes, center, st, rng(seed)), got); diff != "" {
					t.Fatalf("the same seed draws others:\n%s", diff)
				}
				if len(counting) == 0 || st.IncludeCenter {
					if !got[0].Equal(center) {
						t.Fatalf("the first is %v, want the center", got[0])
					}
					got = got[1:]
				}
				if st.Samples == 0 {
					if diff := cmp.Diff(counting, got); diff != "" {
						t.Fatalf("(-want +got):\n%s", diff)
					}
					return
				}
				if len(got) != min(st.Samples, len(counting)) {
					t.Fatalf("%d drawn of %d that count", len(got), len(counting))
				}
				drawn := map[string]bool{}
				for _, a := range got {
					class := classes.Of(a)
					known := slices.ContainsFunc(counting, func(b space.Architecture) bool {
						return a.Equal(b) || st.Equivalents == neighborhood.EquivalentsOnce && class == classes.Of(b)
					})
					if s.Distance(a, center) != 1 || !known || st.Equivalents == neighborhood.EquivalentsOnce && drawn[class] {
						t.Fatalf("%s is drawn and does not count", s.Format(a))
					}
					drawn[class] = true
				}
			})
		})
	}
}

// Every neighbor that counts is as likely as the others.
func TestDrawIsUniformAmongThoseThatCount(t *testing.T) {
	s := space.NASBench201()
	center := space.Architecture{0, 3, 3, 2, 3, 0} // a dead edge, and more
	st := neighborhood.DefaultSettings()
	st.Equivalents, st.IncludeCenter = neighborhood.EquivalentsLeftOut, false
	all := neighborhood.Draw(s, center, st, nil)
	if len(all) >= 24 {
		t.Fatal("every neighbor counts")
	}
	st.Samples = 3
	random, times := rng(5), map[string]int{}
	const draws = 20_000
	for range draws {
		for _, a := range neighborhood.Draw(s, center, st, random) {
			times[a.Key()]++
		}
	}
	want := draws * 3 / float64(len(all))
	for _, a := range all {
		if got := float64(times[a.Key()]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("%s was drawn %v times, want about %v", s.Format(a), got, want)
		}
	}
}

// lone is a space of which an architecture has no neighbor that computes something else: as long as one of two edges in a row
// is empty, nothing arrives.
func lone(t *testing.T) (*space.Space, space.Architecture) {
	t.Helper()
	s, err := space.Declaration{Name: "row", Nodes: 3, Edges: []string{"1<-0", "2<-1"}, Operations: []string{"none", "nor_conv_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s, space.Architecture{0, 0}
}

type byKey map[string]float64

func (k byKey) Evaluate(_ context.Context, architectures []space.Architecture) ([]score.Result, error) {
	var out []score.Result
	for _, a := range architectures {
		out = append(out, score.Result{Score: k[a.Key()]})
	}
	return out, nil
}

// Where every neighbor computes what the center does, the center stands alone.
func TestObjectiveOfACenterWithoutOtherFunctions(t *testing.T) {
	s, center := lone(t)
	scores := byKey{"00": 1, "01": 2, "10": 4, "11": 8}
	for _, c := range []struct {
		equivalents string
		include     bool
		want        float64
	}{
		{neighborhood.EquivalentsAll, true, 7.0 / 3}, {neighborhood.EquivalentsAll, false, 3},
		{neighborhood.EquivalentsOnce, true, 1}, {neighborhood.EquivalentsOnce, false, 4}, // the first neighbor stands for the class
		{neighborhood.EquivalentsLeftOut, true, 1}, {neighborhood.EquivalentsLeftOut, false, 1},
	} {
		st := neighborhood.DefaultSettings()
		st.Equivalents, st.IncludeCenter = c.equivalents, c.include
		o, err := neighborhood.NewObjective(s, st, scores)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Score(t.Context(), []space.Architecture{center}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !got[0].OK() || math.Abs(got[0].Aggregate-c.want) > 1e-12 {
			t.Errorf("%s, center included %v: %v (%s), want %v", c.equivalents, c.include, got[0].Aggregate, got[0].Failure, c.want)
		}
		if std, least, largest := got[0].Spread(); c.equivalents == neighborhood.EquivalentsLeftOut && (std != 0 || least != 1 || largest != 1) {
			t.Errorf("spread %v, %v, %v of a center that stands alone", std, least, largest)
		}
	}
}

func TestUnknownWayToCount(t *testing.T) {
	st := neighborhood.DefaultSettings()
	st.Equivalents = "onec"
	if err := st.ValidateUnder("neighborhood"); err == nil || !strings.Contains(err.Error(), "neighborhood.equivalents") {
		t.Errorf("error %v", err)
	}
}
