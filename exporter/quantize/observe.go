package quantize

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Observe returns a copy of a model that also gives, as outputs behind its own, the values of which Int8 needs the ranges; and their
// names. The copy is run on pictures like those that the model is for, and an Observer looks at what it gives.
func Observe(m *onnx.ModelProto) (*onnx.ModelProto, []string, error) {
	wrap := func(err error) error { return fmt.Errorf("observe the values of the model: %w", err) }
	n, err := newNetwork(m)
	if err != nil {
		return nil, nil, wrap(err)
	}
	values := newInt8(n).own
	if len(values) == 0 {
		return nil, nil, wrap(ErrNothing)
	}
	out := proto.Clone(m).(*onnx.ModelProto)
	for _, name := range values {
		if n.output[name] {
			continue
		}
		out.Graph.Output = append(out.Graph.Output, &onnx.ValueInfoProto{Name: name, Type: &onnx.TypeProto{Value: &onnx.TypeProto_TensorType{
			TensorType: &onnx.TypeProto_Tensor{ElemType: int32(onnx.TensorProto_FLOAT)}, // its shape follows from the graph
		}}})
	}
	return out, values, nil
}

// Observer finds the range of a value. It is shown the same numbers twice: first for their ends, then for how they lie between.
type Observer struct {
	low, high float64
	seen      bool
	bins      []float64 // nil before the second time
	bad       error
}

// bins is the number of equal parts of a range in which numbers are counted.
const bins = 2048

// Ends looks at numbers for the first time.
func (o *Observer) Ends(values []float32) {
	for _, v := range values {
		x := float64(v)
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			o.bad = fmt.Errorf("the network gives %v", v)
		case !o.seen:
			o.low, o.high, o.seen = x, x, true
		case x < o.low:
			o.low = x
		case x > o.high:
			o.high = x
		}
	}
}

// Count looks at the same numbers again.
func (o *Observer) Count(values []float32) {
	if o.bins == nil {
		o.bins = make([]float64, bins)
	}
	width := (o.high - o.low) / bins
	if !(width > 0) {
		return
	}
	for _, v := range values {
		o.bins[min(max(int((float64(v)-o.low)/width), 0), bins-1)]++
	}
}

// Full is the range from the least to the greatest number.
func (o *Observer) Full() (Range, error) {
	switch {
	case o.bad != nil:
		return Range{}, o.bad
	case !o.seen:
		return Range{}, fmt.Errorf("no numbers were seen")
	}
	return Range{o.low, o.high}, nil
}

// Least is the range of which the sum of squares of what is lost, by rounding within and by clipping outside, is least: the full one,
// or one that leaves out some of its ends. The more numbers were seen, the wider the full range is for the sake of a few; this one is
// not. Without Count it is the full range.
func (o *Observer) Least() (Range, error) {
	r, err := o.Full()
	if err != nil || o.bins == nil || r.Low == r.High {
		return r, err
	}
	best, least := r, math.Inf(1)
	const steps = 64 // that are tried, to half of each end
	for i := range steps {
		c := Range{r.Low, r.High * (1 - float64(i)/(2*steps))}
		if r.Low < 0 {
			// Both ends are narrowed alike, since a shift of zero would only move the loss.
			c.Low = r.Low * (1 - float64(i)/(2*steps))
		}
		if loss := o.loss(c); loss < least {
			best, least = c, loss
		}
	}
	return best, nil
}

// loss is the sum of squares of what is lost with a range.
func (o *Observer) loss(r Range) float64 {
	width := (o.high - o.low) / bins
	l := Asymmetric(r)
	step := float64(l.Scale)
	low, high := -float64(l.Zero)*step, (255-float64(l.Zero))*step
	sum := 0.0
	for i, n := range o.bins {
		x := o.low + (float64(i)+0.5)*width
		switch {
		case n == 0:
		case x < low:
			sum += n * (low - x) * (low - x)
		case x > high:
			sum += n * (x - high) * (x - high)
		case x > -step/2 && x < step/2 && width >= step: // zero is exact
		default:
			sum += n * step * step / 12
		}
	}
	return sum
}
