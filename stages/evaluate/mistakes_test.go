package evaluate_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
)

// gray returns images of 3x2x4 whose channels have the given values.
func gray(labels []int64, channels ...[3]uint8) *dataset.Images {
	im := &dataset.Images{Count: len(labels), Channels: 3, Height: 2, Width: 4, Labels: labels}
	for i, c := range channels {
		for _, v := range c {
			for range 8 {
				im.Pixels = append(im.Pixels, v)
			}
		}
		im.Files = append(im.Files, fmt.Sprintf("%s/%d.png", colors[labels[i]], i))
	}
	return im
}

// What is classified wrong is kept with its file, and what the model gave both classes; the surest first.
func TestMistakes(t *testing.T) {
	im := gray([]int64{0, 1, 0, 2, 0, 0}, [3]uint8{9, 1, 1}, [3]uint8{2, 1, 0}, [3]uint8{1, 2, 3}, [3]uint8{5, 1, 0}, [3]uint8{3, 0, 0}, [3]uint8{7, 0, 0})
	path := model{shape: []int64{-1, 3, 2, 4}}.write(t)
	m, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, colors, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	share := func(own float64, all ...float64) float64 {
		sum := 0.0
		for _, v := range all {
			sum += math.Exp(v)
		}
		return math.Round(1e4*math.Exp(own)/sum) / 1e4
	}
	want := []result.Mistake{
		{Image: 3, File: "blue/3.png", True: "blue", Predicted: "red", Probability: share(5, 5, 1, 0), OfTrue: share(0, 5, 1, 0)},
		{Image: 2, File: "red/2.png", True: "red", Predicted: "blue", Probability: share(3, 1, 2, 3), OfTrue: share(1, 1, 2, 3)},
		{Image: 1, File: "green/1.png", True: "green", Predicted: "red", Probability: share(2, 2, 1, 0), OfTrue: share(1, 2, 1, 0)},
	}
	if d := cmp.Diff(want, m.Mistakes); d != "" {
		t.Error(d)
	}
	// Four red ones of which three are right, one green and one blue, both wrong.
	b := m.Balanced
	if b.Top1 != 0.25 || b.Largest != "red" || math.Abs(b.Share-4.0/6) > 1e-12 || !b.Unequal() || !(b.Low < 0.25 && b.High > 0.25) {
		t.Errorf("%+v", b)
	}
	// Scores that are probabilities are taken as they are.
	path = model{shape: []int64{-1, 3, 2, 4}, softmax: true}.write(t)
	shares, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, colors, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m.Mistakes, shares.Mistakes); d != "" || shares.Scores != "probabilities" {
		t.Errorf("%s: %s", shares.Scores, d)
	}
}
