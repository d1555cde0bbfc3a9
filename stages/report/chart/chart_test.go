package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func wellFormed(t interface{ Fatalf(string, ...any) }, svg string) {
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
}

func texts(a axis, percent bool) []string {
	var out []string
	for _, v := range a.ticks() {
		out = append(out, a.text(v, percent))
	}
	return out
}

func TestTicksAreRound(t *testing.T) {
	tests := []struct {
		values  []float64
		percent bool
		want    []string
	}{
		{[]float64{0.31, 2.2}, false, []string{"0.0", "0.5", "1.0", "1.5", "2.0", "2.5"}},
		{[]float64{0.12, 0.97}, true, []string{"0%", "20%", "40%", "60%", "80%", "100%"}},
		{[]float64{0.951, 0.958}, true, []string{"95.0%", "95.2%", "95.4%", "95.6%", "95.8%"}},
		{[]float64{-1.3, 0.4}, false, []string{"−1.5", "−1.0", "−0.5", "0.0", "0.5"}},
		{[]float64{2e-5, 9e-5}, false, []string{"0.00002", "0.00004", "0.00006", "0.00008", "0.00010"}},
		{[]float64{math.NaN(), math.Inf(1)}, false, []string{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		{[]float64{3, 3}, false, []string{"1", "2", "3", "4", "5"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, texts(newAxis(tt.values, 5, true), tt.percent)); diff != "" {
			t.Errorf("ticks for %v differ (-want +got):\n%s", tt.values, diff)
		}
	}
}

func TestAxisHoldsItsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "values")
		a := newAxis(values, 5, true)
		a.from, a.to = 0, 100
		for _, v := range values {
			if at := a.at(v); at < -1e-6 || at > 100+1e-6 {
				t.Fatalf("%v lies at %v of 0..100", v, at)
			}
		}
		if n := len(a.ticks()); n < 2 || n > 9 {
			t.Fatalf("%d ticks from %v to %v by %v", n, a.low, a.high, a.step)
		}
	})
}

// Values a few units in the last place apart, denormal, vast or infinite: every axis has some ticks and not many, in order, and holds
// what a chart shows.
func TestAxesEndWhateverTheValues(t *testing.T) {
	for _, values := range [][]float64{
		{1e17, math.Nextafter(1e17, 2e17)}, {0.1 + 0.2, 0.3}, {-1, math.Nextafter(-1, 0)}, {5e-324, 1e-323}, {-5e-324, 5e-324}, {1e-310, 3e-310},
		{-math.MaxFloat64, math.MaxFloat64}, {math.Inf(-1), math.Inf(1)}, {-1e300, 1e300}, {1e300, math.Nextafter(1e300, 0)}, {0, 5e-324}, {1, 1 + 3e-16, 1 + 2e-9},
	} {
		checkAxis(t, values, 5)
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64(), 1, 5).Draw(t, "values")
		// Neighbors among the floats, from the first value on.
		v := values[0]
		for range rapid.IntRange(0, 20).Draw(t, "units in the last place") {
			v = math.Nextafter(v, math.Inf(1))
		}
		if rapid.Bool().Draw(t, "near") {
			values = values[:1]
		}
		checkAxis(t, append(values, v), rapid.IntRange(4, 8).Draw(t, "ticks"))
	})
}

func checkAxis(t interface{ Errorf(string, ...any) }, values []float64, n int) {
	for _, round := range []bool{true, false} {
		a := newAxis(values, n, round)
		a.from, a.to = 0, 100
		ticks := a.ticks()
		if len(ticks) < 1 || len(ticks) > n+3 {
			t.Errorf("%v: %d ticks from %v to %v by %v", values, len(ticks), a.low, a.high, a.step)
		}
		for i, tick := range ticks {
			if i > 0 && !(tick > ticks[i-1]) {
				t.Errorf("%v: tick %v after %v", values, tick, ticks[i-1])
			}
			if i > 0 && a.text(tick, false) == a.text(ticks[i-1], false) {
				t.Errorf("%v: two ticks are named %s", values, a.text(tick, false))
			}
		}
		for _, v := range values {
			if at := a.at(v); finite(v) && !(at >= -1e-6 && at <= 100+1e-6) {
				t.Errorf("%v: %v lies at %v of 0..100", values, v, at)
			}
		}
	}
}

func TestLineIsWellFormedWhateverTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "epochs")
		value := rapid.OneOf(rapid.Float64Range(-5, 5), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, math.MaxFloat64, -math.MaxFloat64, 5e-324, 3, math.Nextafter(3, 4)}))
		l := Line{Label: `"<loss>" & accuracy`, Percent: rapid.Bool().Draw(t, "percent")}
		for i := range n {
			l.X = append(l.X, float64(i+1))
		}
		for range rapid.IntRange(0, 3).Draw(t, "series") {
			l.Series = append(l.Series, Series{Name: "<i>", Values: rapid.SliceOfN(value, n, n).Draw(t, "values")})
		}
		l.Marks = []Mark{{X: 1, Name: "<warm-up>"}, {X: float64(max(1, n)), Name: "search"}}
		svg := l.SVG()
		wellFormed(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Fatalf("a coordinate is no number: %s", svg)
		}
	})
}

func TestLineIsInterruptedWhereThereIsNothing(t *testing.T) {
	none := math.NaN()
	svg := Line{X: []float64{1, 2, 3, 4, 5, 6}, Series: []Series{{Name: "a", Values: []float64{1, 2, none, 2, none, 1}}}}.SVG()
	path, _, _ := strings.Cut(svg, `" fill="none"`)
	if got := path[strings.LastIndex(path, `"`):]; strings.Count(got, "M") != 3 || strings.Count(got, "L") != 1 {
		t.Errorf("path is %s, want three parts, the first with two points", got)
	}
	// The two values that stand alone, and the last one again.
	if n := strings.Count(svg, "<circle"); n != 3 {
		t.Errorf("%d dots, want 3", n)
	}
	if !strings.Contains(svg, "<title>epoch 2, a 2</title>") {
		t.Error("hovering over epoch 2 does not show its value")
	}
}

func TestStripJoinsEqualCells(t *testing.T) {
	s := Strip{
		Label: "choice", Rows: []string{"1←0", "2←0"}, Steps: []float64{3, 4, 5},
		Color: [][]string{{"#111111", "#111111", "#222222"}, {"", "#111111", "#111111"}},
		Tip:   [][]string{{"a", "a", "b"}, {"", "a", "a"}},
	}
	svg := s.SVG()
	wellFormed(t, svg)
	if n := strings.Count(svg, "<rect"); n != 3 {
		t.Errorf("%d cells, want 3", n)
	}
	for _, want := range []string{"1←0, epoch 3 to 4: a", "1←0, epoch 5: b", "2←0, epoch 4 to 5: a"} {
		if !strings.Contains(svg, "<title>"+want+"</title>") {
			t.Errorf("no cell says %q", want)
		}
	}
	if got := (Strip{}).SVG(); got != "" {
		t.Errorf("of nothing is drawn %s", got)
	}
}

func TestIntervalStaysWithinItsScale(t *testing.T) {
	svg := Interval{Low: -2, High: 0, Min: -2, Max: 0, Mean: -0.5, Std: 0.9, Aggregate: -0.5, Own: 3, Label: `<"own">`}.SVG()
	wellFormed(t, svg)
	if !strings.Contains(svg, `<circle cx="173"`) {
		t.Errorf("a score beyond the scale is not at its end: %s", svg)
	}
	wellFormed(t, Interval{}.SVG())
}

func TestBandsAreWellFormedWhateverTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "budgets")
		value := rapid.OneOf(rapid.Float64Range(-5, 5), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 1e300}))
		values := func() []float64 { return rapid.SliceOfN(value, n, n).Draw(t, "values") }
		c := Bands{Title: "<a> & b", XName: "evaluations", YName: "regret"}
		for i := range n {
			c.X = append(c.X, float64(10*(i+1)))
		}
		for i := range rapid.IntRange(0, 9).Draw(t, "series") {
			c.Series = append(c.Series, Band{Name: "<i>", Values: values(), Low: values(), High: values(), Color: i, Dashed: i%2 == 0})
		}
		for _, svg := range []string{c.SVG(), BandRow([]string{`"two"`, "<lines>"}, []Bands{c, c})} {
			wellFormed(t, svg)
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Fatalf("a coordinate is no number: %s", svg)
			}
		}
	})
}

func TestBandsHaveABandAndALegend(t *testing.T) {
	none := math.NaN()
	svg := Bands{X: []float64{50, 100, 200, 400}, Series: []Band{{Name: "plain", Values: []float64{4, 3, none, 1}, Low: []float64{3, 2, none, 0.5}, High: []float64{5, 4, none, 1.5}}}}.SVG()
	if n := strings.Count(svg, "fill-opacity"); n != 1 {
		t.Errorf("%d bands, want one before the gap", n)
	}
	if !strings.Contains(svg, ">plain</text>") || !strings.Contains(svg, "<title>plain, 100: 3 (2 to 4)</title>") {
		t.Error("no legend, or no values on hovering")
	}
}
