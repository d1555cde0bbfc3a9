package quantize

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func ranges() *rapid.Generator[Range] {
	return rapid.Custom(func(t *rapid.T) Range {
		a, b := rapid.Float32Range(-1e6, 1e6).Draw(t, "a"), rapid.Float32Range(-1e6, 1e6).Draw(t, "b")
		small := math.Pow(10, float64(rapid.IntRange(-12, 0).Draw(t, "power")))
		return Range{Low: float64(min(a, b)) * small, High: float64(max(a, b)) * small}
	})
}

func TestActivationsComeBackWithinHalfAStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ranges().Draw(t, "range")
		l := Asymmetric(r)
		low, high := min(r.Low, 0), max(r.High, 0)
		x := float32(low + rapid.Float64Range(0, 1).Draw(t, "share")*(high-low))
		got := l.Dequantize(l.Quantize(x))
		// Zero is moved to a whole number, which may cost the ends half a step more.
		if bound := float64(l.Scale) * 1.0001; math.Abs(float64(got-x)) > bound {
			t.Errorf("%v comes back as %v with the step %v and the zero %d", x, got, l.Scale, l.Zero)
		}
		inside := float64(x) > low+float64(l.Scale) && float64(x) < high-float64(l.Scale)
		if bound := float64(l.Scale) * 0.5001; inside && math.Abs(float64(got-x)) > bound {
			t.Errorf("%v, not at an end, comes back as %v with the step %v", x, got, l.Scale)
		}
	})
}

func TestZeroIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Asymmetric(ranges().Draw(t, "range"))
		if q := l.Quantize(0); q != l.Zero || l.Dequantize(q) != 0 {
			t.Errorf("zero is %d and comes back as %v with %+v", q, l.Dequantize(q), l)
		}
		if !(l.Scale > 0) || math.IsInf(float64(l.Scale), 0) {
			t.Errorf("scale %v", l.Scale)
		}
	})
	for name, c := range map[string]struct {
		r    Range
		want Linear
	}{
		"nothing but zero":        {Range{0, 0}, Linear{Scale: 1}},
		"what Relu gives":         {Range{0, 25.5}, Linear{Scale: 0.1}},
		"a constant above zero":   {Range{51, 51}, Linear{Scale: 0.2}},
		"a constant below zero":   {Range{-51, -51}, Linear{Scale: 0.2, Zero: 255}},
		"both sides of zero":      {Range{-1, 254}, Linear{Scale: 1, Zero: 1}},
		"smaller than is written": {Range{0, 1e-300}, Linear{Scale: leastScale}},
	} {
		if got := Asymmetric(c.r); got != c.want {
			t.Errorf("%s: %+v instead of %+v", name, got, c.want)
		}
	}
}

func TestWeightsComeBackWithinHalfAStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float32Range(-100, 100), 1, 50).Draw(t, "weights")
		limit := rapid.SampledFrom([]int{WeightLimit, 127}).Draw(t, "limit")
		scale, q := Symmetric(weights, limit)
		most := float32(0)
		for i, w := range weights {
			most = max(most, float32(math.Abs(float64(w))))
			if int(q[i]) > limit || int(q[i]) < -limit {
				t.Errorf("%v became %d, beyond %d", w, q[i], limit)
			}
			if got := scale * float32(q[i]); math.Abs(float64(got-w)) > float64(scale)*0.5001 {
				t.Errorf("%v comes back as %v with the step %v", w, got, scale)
			}
			if (w == 0) != (q[i] == 0) && w == 0 {
				t.Errorf("zero became %d", q[i])
			}
		}
		if want := most / float32(limit); most > 1e-10 && math.Abs(float64(scale/want-1)) > 1e-6 {
			t.Errorf("scale %v instead of %v", scale, want)
		}
	})
	if scale, q := Symmetric(make([]float32, 3), WeightLimit); scale != 1 || q[0] != 0 || q[2] != 0 {
		t.Errorf("zeros: scale %v, %v", scale, q)
	}
}

func TestBiasesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale, input := rapid.Float32Range(leastScale, 10).Draw(t, "scale"), rapid.Float32Range(leastScale, 10).Draw(t, "input")
		bias := rapid.Float32Range(-1000, 1000).Draw(t, "bias")
		got := scaleFor(scale, input, bias)
		if got < scale {
			t.Errorf("%v is below %v", got, scale)
		}
		if whole := math.Abs(float64(bias)) / float64(got) / float64(input); whole > mostBias*1.00001 {
			t.Errorf("the bias is %v", whole)
		}
	})
}

// All numbers of float16, and what lies halfway between neighbors.
func TestFloat16Bits(t *testing.T) {
	value := func(bits uint16) float64 {
		exponent, fraction := int(bits>>10&31), float64(bits&1023)
		x := math.Ldexp(1024+fraction, exponent-25)
		if exponent == 0 {
			x = math.Ldexp(fraction, -24)
		}
		if bits&0x8000 != 0 {
			x = -x
		}
		return x
	}
	for _, sign := range []uint16{0, 0x8000} {
		for i := range uint16(0x7bff + 1) {
			bits := i | sign
			if got := float16Bits(float32(value(bits))); got != bits {
				t.Fatalf("%v is %#x instead of %#x", value(bits), got, bits)
			}
			if i == 0x7bff {
				continue
			}
			even := bits
			if bits&1 == 1 {
				even++
			}
			half := (value(bits) + value(bits+1)) / 2
			if got := float16Bits(float32(half)); got != even {
				t.Fatalf("%v, halfway, is %#x instead of %#x", half, got, even)
			}
			if got := float16Bits(float32(half + (value(bits+1)-half)/64)); got != bits+1 {
				t.Fatalf("a little more than halfway after %#x is %#x", bits, got)
			}
		}
	}
	if float16Bits(maxHalf) != 0x7bff {
		t.Error("the greatest number")
	}
}
