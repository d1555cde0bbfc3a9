package stat_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/stat"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// testdata/generate.py writes what scipy says.
func TestAgainstSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Cases []struct {
			Name     string
			X, Y     []float64
			Exact    bool
			Wilcoxon struct{ Statistic, P float64 }

			Spearman, Kendall, Pearson, Cliff float64
		}
	}
	if err := json.Unmarshal(data, &reference); err != nil {
		t.Fatal(err)
	}
	for _, c := range reference.Cases {
		t.Run(c.Name, func(t *testing.T) {
			w := stat.Wilcoxon(c.X, c.Y)
			if w.Exact != c.Exact {
				t.Errorf("the test is exact: %v", w.Exact)
			}
			for what, pair := range map[string][2]float64{
				"statistic": {min(w.Plus, w.Minus), c.Wilcoxon.Statistic},
				"p":         {w.P / c.Wilcoxon.P, 1},
				"spearman":  {stat.Spearman(c.X, c.Y), c.Spearman},
				"kendall":   {stat.KendallTau(c.X, c.Y), c.Kendall},
				"pearson":   {stat.Pearson(c.X, c.Y), c.Pearson},
				"cliff":     {stat.CliffsDelta(c.X, c.Y), c.Cliff},
			} {
				if !near(pair[0], pair[1], 1e-10) {
					t.Errorf("%s is %v, want %v", what, pair[0], pair[1])
				}
			}
		})
	}
}

// Wilcoxon's own table (1945) and its textbook successors: with 8 pairs a smaller sum of at most 3 is significant at 5
// percent, with 10 of at most 8; all 5 pairs on one side give 2/32.
func TestExactProbabilities(t *testing.T) {
	for _, tt := range []struct {
		n, below int // ranks below zero, as a set of bits
		want     float64
	}{
		{5, 0, 2.0 / 32},
		{8, 0b100, 2 * 5.0 / 256},         // the rank 3: {}, 1, 2, 3, 1+2
		{10, 0b10000000, 2 * 25.0 / 1024}, // the rank 8
	} {
		x := make([]float64, tt.n)
		for i := range x {
			x[i] = float64(i + 1)
			if tt.below>>i&1 == 1 {
				x[i] = -x[i]
			}
		}
		if w := stat.Wilcoxon(x, make([]float64, tt.n)); !w.Exact || !near(w.P, tt.want, 1e-12) {
			t.Errorf("%d pairs: p is %v, want %v", tt.n, w.P, tt.want)
		}
	}
}

func TestNothingDiffers(t *testing.T) {
	x := []float64{1, 2, 3}
	if w := stat.Wilcoxon(x, x); w.N != 0 || w.P != 1 || w.RankBiserial != 0 {
		t.Errorf("%+v", w)
	}
	if d := stat.CliffsDelta(x, x); d != 0 {
		t.Errorf("Cliff's delta is %v", d)
	}
}

func numbers(n int) *rapid.Generator[[]float64] {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 20), func(v int) float64 { return float64(v) }), n, n)
}

func TestPairedComparisonsAreAntisymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		x, y := numbers(n).Draw(t, "x"), numbers(n).Draw(t, "y")
		a, b := stat.Wilcoxon(x, y), stat.Wilcoxon(y, x)
		if a.Plus != b.Minus || !near(a.P, b.P, 1e-12) || a.RankBiserial != -b.RankBiserial || a.P < 0 || a.P > 1 {
			t.Fatalf("%+v and %+v", a, b)
		}
		if d, e := stat.CliffsDelta(x, y), stat.CliffsDelta(y, x); !near(d, -e, 1e-12) || math.Abs(d) > 1 {
			t.Fatalf("%v and %v", d, e)
		}
		direct := 0.0
		for _, v := range x {
			for _, w := range y {
				direct += float64(cmpFloat(v, w))
			}
		}
		if d := stat.CliffsDelta(x, y); !near(d, direct/float64(n*n), 1e-12) {
			t.Fatalf("Cliff's delta is %v, counted %v", d, direct/float64(n*n))
		}
	})
}

func cmpFloat(a, b float64) int {
	switch {
	case a > b:
		return 1
	case a < b:
		return -1
	}
	return 0
}

func TestKendallCountsPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		x, y := numbers(n).Draw(t, "x"), numbers(n).Draw(t, "y")
		var sum, tiedX, tiedY, total float64
		for i := range n {
			for j := range i {
				a, b := cmpFloat(x[i], x[j]), cmpFloat(y[i], y[j])
				sum += float64(a * b)
				total++
				if a == 0 {
					tiedX++
				}
				if b == 0 {
					tiedY++
				}
			}
		}
		want := sum / math.Sqrt((total-tiedX)*(total-tiedY))
		if got := stat.KendallTau(x, y); !near(got, want, 1e-12) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("tau is %v, counted %v", got, want)
		}
	})
}

func TestRanks(t *testing.T) {
	if diff := cmp.Diff([]float64{2.5, 1, 4, 2.5, 5}, stat.Ranks([]float64{3, -1, 7, 3, 9})); diff != "" {
		t.Error(diff)
	}
}

// Of many samples with a known mean, the intervals at 90 percent cover it about as often as they say.
func TestIntervalsCoverTheMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const samples = 400
	var normal, bootstrap int
	for range samples {
		x := make([]float64, 60)
		for i := range x {
			x[i] = rng.ExpFloat64() // with mean 1
		}
		in := func(i stat.Interval) int {
			if i.Low <= 1 && 1 <= i.High {
				return 1
			}
			return 0
		}
		normal += in(stat.MeanCI(x, 0.9))
		bootstrap += in(stat.BootstrapCI(x, 0.9, 200, rng))
	}
	for what, n := range map[string]int{"normal": normal, "bootstrap": bootstrap} {
		if share := float64(n) / samples; share < 0.83 || share > 0.95 {
			t.Errorf("%s intervals at 90%% cover the mean in %.1f%% of all samples", what, 100*share)
		}
	}
}

func TestNormalQuantiles(t *testing.T) {
	for p, want := range map[float64]float64{0.5: 0, 0.975: 1.959963984540054, 0.05: -1.6448536269514722} {
		if got := stat.NormalQuantile(p); !near(got, want, 1e-12) || !near(stat.NormalCDF(got), p, 1e-12) {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
}

// The example of Holm's paper's kind: each p times the number of those not smaller, never falling.
func TestHolm(t *testing.T) {
	got := stat.Holm([]float64{0.01, 0.04, 0.03, 0.005, 0.9})
	for i, want := range []float64{0.04, 0.09, 0.09, 0.025, 0.9} {
		if !near(got[i], want, 1e-12) {
			t.Errorf("value %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestQuantilesAndMedian(t *testing.T) {
	x := []float64{5, 1, 4, 2}
	if m := stat.Median(x); m != 3 {
		t.Errorf("the median is %v", m)
	}
	slices.Sort(x)
	if q := stat.Quantile(x, 0.25); q != 1.75 {
		t.Errorf("the quarter is %v", q)
	}
	if !math.IsNaN(stat.Quantile(nil, 0.5)) || !math.IsNaN(stat.StdDev([]float64{1})) {
		t.Error("there is a number for nothing")
	}
	if s := stat.StdDev([]float64{2, 4, 4, 4, 5, 5, 7, 9}); !near(s, math.Sqrt(32.0/7), 1e-12) {
		t.Errorf("the standard deviation is %v", s)
	}
}

// Ties keep the exact test exact: it counts signs of the ranks as they are. Without ties it is Wilcoxon's.
func TestExactWithTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		x := rapid.SliceOfN(rapid.Map(rapid.IntRange(-4, 4), func(v int) float64 { return float64(v) }), n, n).Draw(t, "x")
		zero := make([]float64, n)
		w := stat.WilcoxonExact(x, zero)
		var size []float64
		for _, v := range x {
			if v != 0 {
				size = append(size, math.Abs(v))
			}
		}
		ranks := stat.Ranks(size)
		extreme := 0
		for signs := range 1 << len(ranks) {
			plus := 0.0
			for i, r := range ranks {
				if signs>>i&1 == 1 {
					plus += r
				}
			}
			if plus <= min(w.Plus, w.Minus) {
				extreme++
			}
		}
		want := min(1, 2*float64(extreme)/float64(int(1)<<len(ranks)))
		if !w.Exact || !near(w.P, want, 1e-12) {
			t.Fatalf("p is %v, counted %v", w.P, want)
		}
	})
}

func TestStudentInterval(t *testing.T) {
	// t with 4 degrees of freedom is 2.776445 at 97.5 percent.
	i := stat.StudentCI([]float64{1, 2, 3, 4, 5}, 0.95)
	half := 2.7764451052 * math.Sqrt(2.5/5)
	if !near(i.Low, 3-half, 1e-8) || !near(i.High, 3+half, 1e-8) {
		t.Errorf("%+v, want 3 ± %v", i, half)
	}
	if p := stat.LeastP(5); p != 0.0625 {
		t.Errorf("the least p of 5 pairs is %v", p)
	}
}
