package verify

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Tolerance is the largest deviation at which two computations of one network count as equal: float32 arithmetic in
// another order stays well below it, a wrong weight does not.
const Tolerance = 1e-4

// Values are the numbers that a model computed, with their shape.
type Values struct {
	Shape []int64
	Data  []float32
}

// Deviation is how far numbers lie from those that were wanted.
type Deviation struct {
	MaxAbs float64 // largest |got - want|; +Inf where either is not finite and they differ
	MaxRel float64 // largest |got - want| / max(1, |want|), which is what a tolerance is held against
	Index  int     // where MaxRel is
	Want   float32 // the numbers there
	Got    float32
	Count  int // numbers compared
}

// String is a short line for people.
func (d Deviation) String() string {
	return fmt.Sprintf("largest deviation %.3g, relative %.3g, of %d numbers", d.MaxAbs, d.MaxRel, d.Count)
}

// Compare measures how far got lies from want. It is an error when their lengths differ or there is nothing to compare.
// Equal infinities and pairs of NaN do not deviate.
func Compare(want, got []float32) (Deviation, error) {
	if len(want) != len(got) {
		return Deviation{}, fmt.Errorf("%d numbers to compare with %d", len(got), len(want))
	}
	if len(want) == 0 {
		return Deviation{}, errors.New("no numbers to compare")
	}
	d := Deviation{Count: len(want), Want: want[0], Got: got[0]}
	for i := range want {
		w, g := float64(want[i]), float64(got[i])
		if w == g || math.IsNaN(w) && math.IsNaN(g) {
			continue
		}
		abs := math.Abs(g - w)
		if math.IsNaN(abs) || math.IsInf(abs, 0) {
			abs = math.Inf(1)
		}
		d.MaxAbs = max(d.MaxAbs, abs)
		rel := abs
		if !math.IsInf(abs, 0) {
			rel = abs / max(1, math.Abs(w))
		}
		if rel > d.MaxRel {
			d.MaxRel, d.Index, d.Want, d.Got = rel, i, want[i], got[i]
		}
	}
	return d, nil
}

// Parity compares the outputs of two models by name and returns the largest deviation. It is an error when names or
// shapes differ, when a number is not finite, or when one deviates by more than tolerance * max(1, |want|).
func Parity(want, got map[string]Values, tolerance float64) (Deviation, error) {
	var worst Deviation
	names := slices.Sorted(maps.Keys(want))
	if have := slices.Sorted(maps.Keys(got)); !slices.Equal(names, have) {
		return worst, fmt.Errorf("outputs are %q instead of %q", have, names)
	}
	if len(names) == 0 {
		return worst, errors.New("no outputs to compare")
	}
	count := 0
	for _, name := range names {
		w, g := want[name], got[name]
		if !slices.Equal(w.Shape, g.Shape) {
			return worst, fmt.Errorf("output %q has the shape %v instead of %v", name, g.Shape, w.Shape)
		}
		d, err := Compare(w.Data, g.Data)
		if err != nil {
			return worst, fmt.Errorf("output %q: %w", name, err)
		}
		for i, v := range w.Data {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return d, fmt.Errorf("output %q: number %d is %v", name, i, v)
			}
		}
		if !(d.MaxRel <= tolerance) {
			return d, fmt.Errorf("output %q: number %d is %v instead of %v, which deviates by more than %g", name, d.Index, d.Got, d.Want, tolerance)
		}
		count += d.Count
		if d.MaxRel >= worst.MaxRel {
			worst = Deviation{MaxAbs: max(worst.MaxAbs, d.MaxAbs), MaxRel: d.MaxRel, Index: d.Index, Want: d.Want, Got: d.Got}
		} else {
			worst.MaxAbs = max(worst.MaxAbs, d.MaxAbs)
		}
	}
	worst.Count = count
	return worst, nil
}
