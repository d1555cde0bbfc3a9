package verify

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCompareFindsTheLargestDeviation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Float32Range(-100, 100), 1, 50).Draw(t, "want")
		got := append([]float32(nil), want...)
		i := rapid.IntRange(0, len(want)-1).Draw(t, "i")
		got[i] += rapid.Float32Range(0.5, 10).Draw(t, "by")
		d, err := Compare(want, got)
		if err != nil {
			t.Fatal(err)
		}
		abs := math.Abs(float64(got[i]) - float64(want[i]))
		if d.Index != i || d.MaxAbs != abs || d.MaxRel != abs/max(1, math.Abs(float64(want[i]))) || d.Want != want[i] || d.Got != got[i] {
			t.Fatalf("%+v for number %d of %v and %v", d, i, want, got)
		}
	})
}

func TestParity(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	of := func(v ...float32) map[string]Values {
		return map[string]Values{"y": {Shape: []int64{int64(len(v))}, Data: v}}
	}
	for name, c := range map[string]struct {
		want, got map[string]Values
		err       string
	}{
		"equal":                         {of(1, 2), of(1, 2), ""},
		"close to a small number":       {of(0, 2), of(0.9e-4, 2), ""},
		"close to a large number":       {of(1000, 2), of(1000.09, 2), ""},
		"too far from a small number":   {of(0, 2), of(1.1e-4, 2), "number 0 is"},
		"too far from a large number":   {of(3, 1000), of(3, 1000.2), "number 1 is"},
		"not a number":                  {of(1, 2), of(1, nan), "number 1 is NaN"},
		"not a number wanted":           {of(1, nan), of(1, nan), "number 1 is NaN"},
		"infinity":                      {of(1, inf), of(1, inf), "number 1 is +Inf"},
		"other names":                   {of(1), map[string]Values{"z": {}}, `outputs are ["z"]`},
		"other shapes":                  {of(1, 2), map[string]Values{"y": {Shape: []int64{2, 1}, Data: []float32{1, 2}}}, "shape [2 1]"},
		"a shape that hides other data": {of(1, 2), map[string]Values{"y": {Shape: []int64{2}, Data: []float32{1}}}, "1 numbers to compare with 2"},
		"nothing":                       {nil, nil, "no outputs"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parity(c.want, c.got, Tolerance)
			if c.err == "" && (err != nil || d.Count != 2) {
				t.Errorf("%v, %v", d, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v does not say %q", err, c.err)
			}
		})
	}
}
