package stat_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/stat"
)

// agree reports whether two correlations are equal, or neither exists.
func agree(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-12
}

// Values worked by hand.
func TestCorrelationsOfSmallSamples(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name                       string
		x, y                       []float64
		pearson, spearman, kendall float64
	}{
		{"equal order", []float64{1, 2, 3}, []float64{10, 20, 70}, 60 / math.Sqrt(2*6200.0/3), 1, 1},
		{"opposite order", []float64{1, 2, 3, 4}, []float64{8, 6, 4, 2}, -1, -1, -1},
		{"one pair exchanged", []float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, 0.8, 0.8, 4.0 / 6},
		// Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4; 5 concordant pairs, 1 tie in x.
		{"a tie", []float64{1, 2, 2, 3}, []float64{1, 2, 3, 4}, 3 / math.Sqrt(2*5), 4.5 / math.Sqrt(4.5*5), 5 / math.Sqrt(5*6)},
		{"a constant", []float64{1, 1, 1}, []float64{1, 2, 3}, nan, nan, nan},
		{"one value", []float64{1}, []float64{1}, nan, nan, nan},
		{"nothing", nil, nil, nan, nan, nan},
		{"another length", []float64{1, 2}, []float64{1}, nan, nan, nan},
	} {
		for _, f := range []struct {
			name string
			got  float64
			want float64
		}{{"Pearson", stat.Pearson(c.x, c.y), c.pearson}, {"Spearman", stat.Spearman(c.x, c.y), c.spearman}, {"Kendall", stat.KendallTau(c.x, c.y), c.kendall}} {
			if !agree(f.got, f.want) {
				t.Errorf("%s: %s is %v, want %v", c.name, f.name, f.got, f.want)
			}
		}
	}
	if diff := cmp.Diff([]float64{3.5, 1, 3.5, 2, 5}, stat.Ranks([]float64{7, -1, 7, 0, 8})); diff != "" {
		t.Errorf("ranks (-want +got):\n%s", diff)
	}
}

// naiveKendall looks at every pair.
func naiveKendall(x, y []float64) float64 {
	sign := func(v float64) float64 {
		switch {
		case v > 0:
			return 1
		case v < 0:
			return -1
		}
		return 0
	}
	sum, nx, ny := 0.0, 0.0, 0.0
	for i := range x {
		for j := range i {
			a, b := sign(x[i]-x[j]), sign(y[i]-y[j])
			sum, nx, ny = sum+a*b, nx+a*a, ny+b*b
		}
	}
	if nx == 0 || ny == 0 {
		return math.NaN()
	}
	return sum / math.Sqrt(nx*ny)
}

// naiveRanks counts for each value how many are below it and how many are equal.
func naiveRanks(x []float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		below, equal := 0.0, 0.0
		for _, v := range x {
			if v < x[i] {
				below++
			} else if v == x[i] {
				equal++
			}
		}
		out[i] = below + (equal+1)/2
	}
	return out
}

func TestRankCorrelationsAreWhatTheirDefinitionsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		sample := func(name string) []float64 {
			whole := rapid.SliceOfN(rapid.IntRange(-4, 4), n, n).Draw(t, name) // few values, so that there are ties
			out := make([]float64, n)
			for i, v := range whole {
				out[i] = float64(v) / 4
			}
			return out
		}
		x, y := sample("x"), sample("y")
		if got, want := stat.KendallTau(x, y), naiveKendall(x, y); !agree(got, want) {
			t.Fatalf("Kendall is %v, want %v", got, want)
		}
		if got, want := stat.Ranks(x), naiveRanks(x); !cmp.Equal(got, want) {
			t.Fatalf("ranks are %v, want %v", got, want)
		}
		if got, want := stat.Spearman(x, y), stat.Pearson(naiveRanks(x), naiveRanks(y)); !agree(got, want) {
			t.Fatalf("Spearman is %v, want %v", got, want)
		}
		if a, b := stat.KendallTau(x, y), stat.KendallTau(y, x); !agree(a, b) {
			t.Fatalf("Kendall depends on the order of the samples: %v, %v", a, b)
		}
	})
}
