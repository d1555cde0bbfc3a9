package evaluate_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// target is a red picture with a green square of half its side in the middle.
func target(t testing.TB) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for p := range 64 {
		shade := color.RGBA{R: 200, A: 255}
		if x, y := p%8, p/8; x >= 2 && x < 6 && y >= 2 && y < 6 {
			shade = color.RGBA{G: 240, A: 255}
		}
		im.SetRGBA(p%8, p/8, shade)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What a model's metadata say of the pictures it was shown decides what it is shown, unless the options say otherwise.
func TestClassifierShowsWhatTheModelSays(t *testing.T) {
	half := map[string]string{evaluate.KeyInput: "unit", evaluate.KeyView: `{"center":0.5,"stored":false}`, evaluate.KeyClasses: `["red","green","blue"]`}
	whole := map[string]string{evaluate.KeyInput: "unit", evaluate.KeyClasses: `["red","green","blue"]`}
	for name, c := range map[string]struct {
		metadata map[string]string
		options  evaluate.ClassifierOptions
		want     string
		shade    [3]float64
	}{
		"nothing is said":     {whole, evaluate.ClassifierOptions{}, "red", [3]float64{150, 60, 0}},
		"the model says half": {half, evaluate.ClassifierOptions{}, "green", [3]float64{0, 240, 0}},
		"the options say one": {half, evaluate.ClassifierOptions{Center: 1}, "red", [3]float64{150, 60, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			path := model{shape: []int64{-1, 3, 4, 4}, metadata: c.metadata}.write(t)
			cl, err := evaluate.OpenClassifier(t.Context(), runtimetest.Open(t), path, c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close() //nolint:errcheck // only reads
			got, err := cl.Picture(t.Context(), target(t))
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, v := range c.shade {
				sum += math.Exp(v / 255)
			}
			best := math.Exp(max(c.shade[0], c.shade[1])/255) / sum
			if got[0].Class != c.want || math.Abs(got[0].Probability-best) > 1e-6 {
				t.Errorf("%v, want %s with %v", got, c.want, best)
			}
		})
	}
	for _, wrong := range []string{`{"center":7}`, `{`} {
		path := model{shape: []int64{-1, 3, 4, 4}, metadata: map[string]string{evaluate.KeyInput: "unit", evaluate.KeyView: wrong}}.write(t)
		if _, err := evaluate.OpenClassifier(t.Context(), runtimetest.Open(t), path, evaluate.ClassifierOptions{}); err == nil {
			t.Errorf("the view %s is accepted", wrong)
		}
	}
}

// A picture's classes do not depend on the pictures beside it.
func TestClassifierInBatches(t *testing.T) {
	path := model{shape: []int64{4, 3, 4, 4}, metadata: map[string]string{evaluate.KeyInput: "pixels"}}.write(t)
	c, err := evaluate.OpenClassifier(t.Context(), runtimetest.Open(t), path, evaluate.ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only reads
	im, err := dataset.ReadPicture(target(t), c.View())
	if err != nil {
		t.Fatal(err)
	}
	blue := *im
	blue.Pixels = append(make([]uint8, 32), bytes.Repeat([]byte{9}, 16)...)
	got, err := c.Images(t.Context(), []*dataset.Images{im, im, &blue, im, im, &blue})
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range got {
		if want := map[bool]int{true: 2, false: 0}[i == 2 || i == 5]; g[0].Index != want || g[0].Probability != got[want][0].Probability {
			t.Errorf("image %d is %+v, want %d", i, g, want)
		}
	}
	if _, err := c.Images(t.Context(), []*dataset.Images{{Count: 1, Channels: 1, Height: 4, Width: 4}}); err == nil {
		t.Error("a gray image is accepted")
	}
}
