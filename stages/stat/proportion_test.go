package stat_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/plateau-nas/plateau/stages/stat"
)

// Intervals and tests of shares are those of scipy.
func TestSharesAgreeWithScipy(t *testing.T) {
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Shares []struct {
			K, N, L, M   int
			Low, High, P float64
		}
		Balanced []struct {
			K, N             []int
			Value, Low, High float64
		}
		Discordant []struct {
			First, Second int
			P             float64
		}
	}
	if err := json.Unmarshal(data, &reference); err != nil {
		t.Fatal(err)
	}
	if len(reference.Shares) == 0 || len(reference.Discordant) == 0 {
		t.Fatal("the reference has no shares")
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	for _, c := range reference.Shares {
		i := stat.Wilson(c.K, c.N, 0.95)
		near("low end", i.Low, c.Low)
		near("high end", i.High, c.High)
		near("p of two shares", stat.TwoShares(c.K, c.N, c.L, c.M), c.P)
	}
	if len(reference.Balanced) == 0 {
		t.Fatal("the reference has no means of shares")
	}
	for _, c := range reference.Balanced {
		i := stat.MeanShare(c.K, c.N, 0.95)
		near("low end of a mean", i.Low, c.Low)
		near("high end of a mean", i.High, c.High)
		mean := 0.0
		for j := range c.K {
			mean += float64(c.K[j]) / float64(c.N[j]) / float64(len(c.K))
		}
		near("mean of shares", mean, c.Value)
	}
	for _, c := range reference.Discordant {
		near("McNemar's p", stat.McNemar(c.First, c.Second), c.P)
	}
	if p := stat.McNemar(0, 0); p != 1 {
		t.Error(p)
	}
	if p := stat.TwoShares(5, 5, 7, 7); p != 1 {
		t.Error(p)
	}
}

// The interval of a mean of shares holds the truth about as often as it says, also with few images a class and accuracies near 1.
func TestIntervalsOfMeansCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		n []int
		p []float64
	}{{[]int{5, 5, 5}, []float64{0.9, 0.8, 0.95}}, {[]int{100, 10, 4}, []float64{0.95, 0.5, 0.3}}, {[]int{20, 20}, []float64{0.99, 0.97}}} {
		truth := 0.0
		for _, p := range c.p {
			truth += p / float64(len(c.p))
		}
		const runs = 4000
		held := 0
		for range runs {
			k := make([]int, len(c.n))
			for i, n := range c.n {
				for range n {
					if rng.Float64() < c.p[i] {
						k[i]++
					}
				}
			}
			if i := stat.MeanShare(k, c.n, 0.95); i.Low <= truth && truth <= i.High {
				held++
			}
		}
		if share := float64(held) / runs; share < 0.93 {
			t.Errorf("with %v images the interval holds %v in %.3f of all runs", c.n, truth, share)
		}
	}
}
