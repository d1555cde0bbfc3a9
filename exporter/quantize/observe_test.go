package quantize

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestObserver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batches := rapid.SliceOfN(rapid.SliceOfN(rapid.Float32Range(-50, 50), 1, 20), 1, 5).Draw(t, "batches")
		var o Observer
		low, high := math.Inf(1), math.Inf(-1)
		for _, b := range batches {
			o.Ends(b)
			for _, v := range b {
				low, high = min(low, float64(v)), max(high, float64(v))
			}
		}
		for _, b := range batches {
			o.Count(b)
		}
		full, err := o.Full()
		if err != nil || full != (Range{low, high}) {
			t.Fatalf("%v, %v instead of %v to %v", full, err, low, high)
		}
		least, err := o.Least()
		if err != nil || least.Low < full.Low || least.High > full.High || least.Low > least.High {
			t.Fatalf("%v, %v is not within %v", least, err, full)
		}
	})
	var none Observer
	if _, err := none.Full(); err == nil {
		t.Error("a range of nothing")
	}
	bad := new(Observer)
	bad.Ends([]float32{1, float32(math.NaN())})
	if _, err := bad.Least(); err == nil {
		t.Error("a range of what is no number")
	}
}

// One number far away does not cost all others their precision.
func TestLeastLeavesOutliersOut(t *testing.T) {
	values := make([]float32, 1000000)
	for i := range values {
		values[i] = float32(i%1000) / 1000
	}
	values[7] = 1.9
	var o Observer
	o.Ends(values)
	o.Count(values)
	full, _ := o.Full()
	least, _ := o.Least()
	if !(least.High < 1.5 && least.High >= 0.98) || full.High < 1.89 {
		t.Errorf("full %v, least %v", full, least)
	}
}
