package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// ErrInputUnknown is the error about a model of which neither its metadata nor the options say what numbers it takes.
var ErrInputUnknown = errors.New("it does not say what numbers it takes for a pixel")

// feed turns images into what a model takes.
type feed struct {
	name    string
	dtype   runtime.DType
	shape   []int64 // with the batch first; shape[0] is 0 where a run decides
	channel int     // channels of an image
	layout  Layout
	table   []float32 // channel x 256: the number for a pixel value
}

// newFeed finds out how the model wants images of the given size.
func newFeed(s *runtime.Session, im *dataset.Images, o Options) (*feed, error) {
	inputs := s.Inputs()
	if len(inputs) != 1 {
		return nil, fmt.Errorf("a classifier takes one batch of images, this model takes %s", describe(inputs))
	}
	in := inputs[0]
	f := &feed{name: in.Name, dtype: in.DType, channel: im.Channels}
	if in.DType != runtime.Float32 && in.DType != runtime.Uint8 {
		return nil, fmt.Errorf("its input is %s; only models that take float32 or uint8 images can be measured", in)
	}
	if err := f.fit(in, im, o.Layout); err != nil {
		return nil, err
	}
	return f, f.numbers(s.Metadata(), o)
}

// fit settles on a shape and a layout.
func (f *feed) fit(in runtime.IOInfo, im *dataset.Images, layout Layout) error {
	c, h, w := int64(im.Channels), int64(im.Height), int64(im.Width)
	shapes := map[Layout][]int64{LayoutNCHW: {c, h, w}, LayoutNHWC: {h, w, c}}
	try := []Layout{LayoutNCHW, LayoutNHWC}
	if layout != LayoutAuto && layout != "" {
		try = []Layout{layout}
	}
	for _, l := range try {
		s := shapes[l]
		// Models of vectors take the same numbers in the same order.
		for _, s := range [][]int64{s, {c * h * w}, {h, w}} {
			if len(in.Shape) != len(s)+1 || len(s) == 2 && c != 1 {
				continue
			}
			if slices.EqualFunc(in.Shape[1:], s, func(declared, have int64) bool { return declared < 0 || declared == have }) {
				f.layout, f.shape = l, append([]int64{max(in.Shape[0], 0)}, s...)
				return nil
			}
		}
		if in.Shape == nil {
			f.layout, f.shape = l, append([]int64{0}, s...)
			return nil
		}
	}
	as := ""
	if layout != LayoutAuto && layout != "" {
		as = fmt.Sprintf(" as %s", layout)
	}
	mend := "give the data set the model's image size"
	if other, wanted := wantsOtherChannels(in.Shape, im); other {
		mend = fmt.Sprintf("set channels to %s, and the images are converted", wanted)
	}
	return fmt.Errorf("its input is %s, which the data set's images of %d channels, %dx%d pixels do not fit%s; %s", in, c, h, w, as, mend)
}

// wantsOtherChannels tells whether a model takes color where the images are gray, or the other way round, and what to call it.
func wantsOtherChannels(shape []int64, im *dataset.Images) (bool, string) {
	if len(shape) != 4 {
		return false, ""
	}
	wanted, name := int64(3), fmt.Sprintf("%s or %s", ChannelsRGB, ChannelsBGR)
	if im.Channels == 3 {
		wanted, name = 1, string(ChannelsGray)
	}
	is := func(d int64, n int) bool { return d < 0 || d == int64(n) }
	nchw := shape[1] == wanted && is(shape[2], im.Height) && is(shape[3], im.Width)
	nhwc := shape[3] == wanted && is(shape[1], im.Height) && is(shape[2], im.Width)
	return nchw || nhwc, name
}

// numbers fills the table from pixel values to the model's numbers.
func (f *feed) numbers(metadata map[string]string, o Options) error {
	input := o.Input
	if input == InputAuto || input == "" {
		input = Input(metadata[KeyInput])
		switch {
		case f.dtype == runtime.Uint8:
			input = InputPixels // nothing else fits into a byte
		case input == "":
			return fmt.Errorf("%w; set input to pixels (0 to 255), unit (0 to 1), normalized (by the data set's mean and standard deviation) or custom", ErrInputUnknown)
		}
	}
	if f.dtype == runtime.Uint8 && input != InputPixels {
		return fmt.Errorf("it takes uint8 images, which hold pixels and cannot be %s", input)
	}
	scale := 1.0
	mean, std := repeat(nil, f.channel, 0), repeat(nil, f.channel, 1)
	switch input {
	case InputPixels:
	case InputUnit:
		scale = 1.0 / 255
	case InputNormalized:
		scale = 1.0 / 255
		own, err := normalizationOf(metadata)
		if err != nil {
			return err
		}
		if own == nil {
			own = &normalization{Mean: o.DataMean, Std: o.DataStd}
		}
		if len(own.Mean) != f.channel || len(own.Std) != f.channel {
			return fmt.Errorf("images of %d channels are to be normalized with %d means and %d standard deviations", f.channel, len(own.Mean), len(own.Std))
		}
		mean, std = float64s(own.Mean), float64s(own.Std)
	case InputCustom:
		scale, mean, std = o.Scale, repeat(o.Mean, f.channel, 0), repeat(o.Std, f.channel, 1)
		if len(mean) != f.channel || len(std) != f.channel {
			return fmt.Errorf("mean has %d and std %d numbers; give one, or one for each of the %d channels", len(mean), len(std), f.channel)
		}
	default:
		return fmt.Errorf("its metadata say %s = %q, which is not known; set input", KeyInput, input)
	}
	f.table = make([]float32, f.channel*256)
	for c := range f.channel {
		for p := range 256 {
			f.table[c*256+p] = float32((float64(p)*scale - mean[c]) / std[c])
		}
	}
	return nil
}

// batch returns the images from first on as a tensor of rows images; those behind the last one repeat it.
func (f *feed) batch(im *dataset.Images, first, rows int) runtime.Tensor {
	shape := slices.Clone(f.shape)
	shape[0] = int64(rows)
	values, area := im.Values(), im.Height*im.Width
	pixels := func(row int) []uint8 {
		i := min(first+row, im.Count-1)
		return im.Pixels[i*values : (i+1)*values]
	}
	if f.dtype == runtime.Uint8 {
		data := make([]uint8, rows*values)
		for row := range rows {
			f.arrange(pixels(row), area, func(at, _ int, p uint8) { data[row*values+at] = p })
		}
		return runtime.Tensor{Shape: shape, Data: data}
	}
	data := make([]float32, rows*values)
	for row := range rows {
		out := data[row*values : (row+1)*values]
		f.arrange(pixels(row), area, func(at, c int, p uint8) { out[at] = f.table[c*256+int(p)] })
	}
	return runtime.Tensor{Shape: shape, Data: data}
}

// arrange calls put for every pixel value of an image with its place in the model's layout and its channel.
func (f *feed) arrange(pixels []uint8, area int, put func(at, channel int, p uint8)) {
	for c := range f.channel {
		for i, p := range pixels[c*area : (c+1)*area] {
			if f.layout == LayoutNHWC {
				put(i*f.channel+c, c, p)
			} else {
				put(c*area+i, c, p)
			}
		}
	}
}

type normalization struct {
	Mean []float32 `json:"mean"`
	Std  []float32 `json:"std"`
}

// normalizationOf reads what a model's metadata say; nil when they say nothing.
func normalizationOf(metadata map[string]string) (*normalization, error) {
	text, ok := metadata[KeyNormalization]
	if !ok {
		return nil, nil
	}
	n := new(normalization)
	if err := json.Unmarshal([]byte(text), n); err != nil {
		return nil, fmt.Errorf("its metadata %s: %w", KeyNormalization, err)
	}
	for _, v := range n.Std {
		if !(v > 0) {
			return nil, fmt.Errorf("its metadata %s: the standard deviation %v is not above 0", KeyNormalization, v)
		}
	}
	return n, nil
}

// repeat gives a list of n numbers for a list of none (absent), one or n.
func repeat(v []float64, n int, absent float64) []float64 {
	switch len(v) {
	case 0:
		return slices.Repeat([]float64{absent}, n)
	case 1:
		return slices.Repeat(v, n)
	}
	return v
}

func float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
