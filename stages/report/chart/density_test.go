package chart

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDensityIsWellFormedWhateverTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "n")
		value := rapid.OneOf(rapid.Float64Range(-100, 100), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 0}))
		d := Density{
			Label: `a "label"`, XName: "x & y", YName: "<y>", Low: rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "low"),
			X: rapid.SliceOfN(value, n, n).Draw(t, "x"), Y: rapid.SliceOfN(value, n, n).Draw(t, "y"),
			Marks: []Dot{{X: 1, Y: 2, Name: "<best>", Color: SeriesColor(1)}},
		}
		svg := d.SVG()
		wellFormed(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Fatalf("a coordinate is no number: %s", svg)
		}
	})
}

func TestDensityIsStrongerWhereThereIsMore(t *testing.T) {
	d := Density{X: []float64{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, Y: []float64{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}
	svg := d.SVG()
	if !strings.Contains(svg, `fill-opacity="0.16"`) || !strings.Contains(svg, `fill-opacity="1.00"`) {
		t.Errorf("one point and ten look alike: %s", svg)
	}
	// A tenth of eleven points is one: the least of either axis lies outside.
	if d.Low = 0.1; d.Outside() != 1 {
		t.Errorf("%d points lie outside, want 1", d.Outside())
	}
}
