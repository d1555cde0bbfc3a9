package quantize

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// ONNX Runtime's own quantizer (testdata/generate.py) writes ranges and weights as this package does, and NumPy rounds to float16 as it
// does.
func TestPeer(t *testing.T) {
	var peer struct {
		Activations []struct {
			Low, High float64
			Scale     float32
			Zero      uint8
		}
		Weights []struct {
			Weights []float32
			Scale   float32
			Whole   []int8
		}
		Float16 struct {
			Numbers []float32
			Bits    []uint16
		}
	}
	text, err := os.ReadFile("testdata/peer.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &peer); err != nil {
		t.Fatal(err)
	}
	near := func(a, b float32) bool { return math.Abs(float64(a/b-1)) < 1e-6 }
	for _, a := range peer.Activations {
		if l := Asymmetric(Range{a.Low, a.High}); !near(l.Scale, a.Scale) || l.Zero != a.Zero {
			t.Errorf("%v to %v: %+v, there %v and %d", a.Low, a.High, l, a.Scale, a.Zero)
		}
	}
	for i, w := range peer.Weights {
		scale, whole := Symmetric(w.Weights, WeightLimit)
		if !near(scale, w.Scale) {
			t.Errorf("weights %d: scale %v, there %v", i, scale, w.Scale)
		}
		for k, v := range whole {
			if v != w.Whole[k] {
				t.Errorf("weight %d of %d: %v is %d, there %d", k, i, w.Weights[k], v, w.Whole[k])
			}
		}
	}
	for i, v := range peer.Float16.Numbers {
		if got := float16Bits(v); got != peer.Float16.Bits[i] {
			t.Errorf("%v is %#x in float16, there %#x", v, got, peer.Float16.Bits[i])
		}
	}
	if len(peer.Activations) < 30 || len(peer.Weights) < 15 || len(peer.Float16.Numbers) < 100 {
		t.Error("the fixture is not whole")
	}
}
