package quantize

import "math"

// Range is the least and the greatest value that numbers take.
type Range struct {
	Low, High float64
}

// Linear writes real numbers as whole ones of 0 to 255: x is about Scale * (q - Zero). Zero itself is exact, since it is what
// convolutions pad with and what Relu gives.
type Linear struct {
	Scale float32
	Zero  uint8
}

// leastScale keeps the product of two scales, which biases are written with, a normal float32.
const leastScale = 0x1p-60

// Asymmetric spreads the 256 numbers over a range, which is widened to hold zero. A range of nothing but zero gives the scale 1.
func Asymmetric(r Range) Linear {
	low, high := min(r.Low, 0), max(r.High, 0)
	if low == high {
		return Linear{Scale: 1}
	}
	scale := max((high-low)/255, leastScale)
	zero := math.RoundToEven(-low / scale)
	return Linear{Scale: float32(scale), Zero: uint8(min(max(zero, 0), 255))}
}

// Quantize returns the whole number for x, as QuantizeLinear does: the nearest, of two equally near ones the even, at the ends of
// the range the last.
func (l Linear) Quantize(x float32) uint8 {
	q := math.RoundToEven(float64(x/l.Scale)) + float64(l.Zero)
	return uint8(min(max(q, 0), 255))
}

// Dequantize returns the number that q stands for.
func (l Linear) Dequantize(q uint8) float32 { return l.Scale * float32(int(q)-int(l.Zero)) }

// WeightLimit is the greatest weight, as a whole number. It is 64 and not 127: processors without instructions for dot products of bytes
// add two products of an activation (up to 255) and a weight in 16 bits, which 255*64*2 just does not overflow. With 127 such a
// processor gives wrong sums and says nothing. See the section "reduce_range" of ONNX Runtime's documentation on quantization.
const WeightLimit = 64

// Symmetric writes the weights of one output channel as whole numbers of -limit to limit, x is about scale * q. A channel of
// zeros gives the scale 1.
func Symmetric(weights []float32, limit int) (scale float32, q []int8) {
	most := 0.0
	for _, w := range weights {
		most = max(most, math.Abs(float64(w)))
	}
	q = make([]int8, len(weights))
	if most == 0 {
		return 1, q
	}
	scale = float32(max(most/float64(limit), leastScale))
	fill(q, weights, scale, limit)
	return scale, q
}

func fill(q []int8, weights []float32, scale float32, limit int) {
	for i, w := range weights {
		v := math.RoundToEven(float64(w) / float64(scale))
		q[i] = int8(min(max(v, -float64(limit)), float64(limit)))
	}
}

// mostBias is the greatest bias, as a whole number. It leaves the sum of products, which is added to it in 32 bits, as much room.
const mostBias = 1 << 30

// scaleFor returns a scale of the weights, not below the given one, with which a bias can be written in units of input times weight.
// The bias of a channel whose weights are all but zero needs one.
func scaleFor(scale, input float32, bias float32) float32 {
	least := math.Abs(float64(bias)) / mostBias / float64(input)
	if float64(scale) >= least {
		return scale
	}
	return math.Nextafter32(float32(least), math.MaxFloat32)
}
