package evaluate

import (
	"encoding/json"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// About is what can be known of a classifier before it runs.
type About struct {
	Metadata map[string]string
	// Input is the shape of its input, with -1 for a size that a run decides; nil when the model does not declare it or takes
	// more than one input.
	Input []int64
	// Scores is how many scores it gives for an image; 0 where it does not declare that, or its outputs differ in it.
	Scores int
}

// Read reads what a model file says of itself.
func Read(path string) (*About, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	out := &About{Metadata: onnx.Metadata(m)}
	weights := map[string]bool{} // older files list them among the inputs
	for _, t := range m.GetGraph().GetInitializer() {
		weights[t.GetName()] = true
	}
	inputs := 0
	for _, in := range m.GetGraph().GetInput() {
		if weights[in.GetName()] {
			continue
		}
		inputs++
		if shape := in.GetType().GetTensorType().GetShape(); shape != nil {
			out.Input = []int64{}
			for _, d := range shape.GetDim() {
				size := d.GetDimValue()
				if size <= 0 {
					size = -1
				}
				out.Input = append(out.Input, size)
			}
		}
	}
	if inputs != 1 {
		out.Input = nil
	}
	out.Scores = scoresDeclared(m.GetGraph().GetOutput())
	return out, nil
}

// scoresDeclared counts the numbers of an image in the outputs, if these agree.
func scoresDeclared(outputs []*onnx.ValueInfoProto) int {
	scores := 0
	for _, o := range outputs {
		dims := o.GetType().GetTensorType().GetShape().GetDim()
		if len(dims) < 2 {
			return 0
		}
		n := int64(1)
		for _, d := range dims[1:] { // the first one is the batch
			n *= d.GetDimValue()
			if n <= 0 || n > maxScores {
				return 0
			}
		}
		if scores != 0 && scores != int(n) {
			return 0
		}
		scores = int(n)
	}
	return scores
}

// Side is the height and width in pixels of the square images that the model takes, or 0 when it takes others or any size.
func (a *About) Side(layout Layout) int {
	if len(a.Input) != 4 {
		return 0
	}
	nchw, nhwc := a.Input[2], a.Input[1]
	switch {
	case layout != LayoutNHWC && nchw > 0 && nchw == a.Input[3]:
		return int(nchw)
	case layout != LayoutNCHW && nhwc > 0 && nhwc == a.Input[2]:
		return int(nhwc)
	}
	return 0
}

// View is what the model is to be shown of a picture, as far as its metadata and the shape of its input say: the whole center square
// of a picture that stands upright where they say nothing, with size 0 where the model takes any size.
func (a *About) View(layout Layout) (dataset.View, error) {
	out := dataset.DefaultView(a.Side(layout))
	if text, ok := a.Metadata[KeyView]; ok {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			return out, fmt.Errorf("the model's metadata %s: %w", KeyView, err)
		}
		if !(out.Center > 0 && out.Center <= 1) {
			return out, fmt.Errorf("the model's metadata %s: %v of the center square's side, want above 0 and at most 1", KeyView, out.Center)
		}
	}
	return out, nil
}
