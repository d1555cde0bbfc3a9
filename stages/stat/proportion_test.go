package stat_test

import (
	"encoding/json"
	"math"
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
