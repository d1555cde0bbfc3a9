package dataset

import (
	palette "image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestImage(t *testing.T) {
	im := &Images{Count: 1, Channels: 3, Height: 1, Width: 2, Pixels: []uint8{1, 2, 3, 4, 5, 6}, Labels: []int64{0}}
	picture := im.Image(0)
	if b := picture.Bounds(); b.Dx() != 2 || b.Dy() != 1 {
		t.Fatalf("bounds %v", b)
	}
	for x, want := range []palette.NRGBA{{1, 3, 5, 255}, {2, 4, 6, 255}} {
		if got := picture.At(x, 0); got != want {
			t.Errorf("pixel %d is %v, want %v", x, got, want)
		}
	}
	gray := &Images{Count: 2, Channels: 1, Height: 1, Width: 1, Pixels: []uint8{7, 9}, Labels: []int64{0, 0}}
	if got := gray.Image(1).At(0, 0); got != (palette.Gray{Y: 9}) {
		t.Errorf("gray pixel is %v", got)
	}
	if gray.Image(2) != nil || gray.Image(-1) != nil {
		t.Error("there is a picture where there is no image")
	}
}

func TestStatistics(t *testing.T) {
	im := &Images{Count: 2, Channels: 3, Height: 1, Width: 2, Labels: []int64{0, 1},
		Pixels: []uint8{0, 255, 10, 20, 7, 7, 255, 0, 30, 40, 7, 7}}
	mean, std := im.statistics(nil)
	wantMean := []float64{0.5, 25.0 / 255, 7.0 / 255}
	wantStd := []float64{0.5, math.Sqrt(125) / 255, 1.0 / 255} // one gray level where nothing varies
	for c := range 3 {
		if math.Abs(float64(mean[c])-wantMean[c]) > 1e-6 || math.Abs(float64(std[c])-wantStd[c]) > 1e-6 {
			t.Errorf("channel %d: mean %v, deviation %v; want %v, %v", c, mean[c], std[c], wantMean[c], wantStd[c])
		}
	}
}

// small returns a valid dataset to break.
func small() *Dataset {
	d := &Dataset{Name: "small", Source: "a test", Classes: []string{"a", "b"}}
	d.Train, d.Valid, d.Test = marked(6, 2), marked(4, 2), marked(3, 2)
	d.Mean, d.Std = d.Train.statistics(nil)
	return d
}

func TestTrainValid(t *testing.T) {
	d := small()
	both := d.TrainValid()
	if want := slices.Concat(names(t, d.Train), names(t, d.Valid)); !slices.Equal(names(t, both), want) {
		t.Errorf("joined to %v, want %v", names(t, both), want)
	}
	both.Pixels[0]++
	both.Labels[0]++
	if slices.Equal(both.Pixels[:3], d.Train.Pixels[:3]) || both.Labels[0] == d.Train.Labels[0] {
		t.Error("the joined images share memory with the splits")
	}
}

func TestCheck(t *testing.T) {
	if err := small().Check(); err != nil {
		t.Fatal(err)
	}
	for want, break_ := range map[string]func(*Dataset){
		"1 classes, want at least 2":                      func(d *Dataset) { d.Classes = d.Classes[:1] },
		"class 1 has no name":                             func(d *Dataset) { d.Classes[1] = "" },
		`classes 0 and 1 are both named "a"`:              func(d *Dataset) { d.Classes[1] = "a" },
		"test split: missing":                             func(d *Dataset) { d.Test = nil },
		"train split: no images":                          func(d *Dataset) { d.Train = newImages(0, 3, 1, 1) },
		"test split: no images":                           func(d *Dataset) { d.Test = newImages(0, 3, 1, 1) },
		"valid split: image 2 has label 2, want 0 to 1":   func(d *Dataset) { d.Valid.Labels[2] = 2 },
		"image 0 has label -1":                            func(d *Dataset) { d.Test.Labels[0] = -1 },
		"4 labels for 6 images":                           func(d *Dataset) { d.Train.Labels = d.Train.Labels[:4] },
		"17 pixel values, want 18 for 6 images of 3x1x1":  func(d *Dataset) { d.Train.Pixels = d.Train.Pixels[:17] },
		"images with 2 channels":                          func(d *Dataset) { d.Train = newImages(1, 2, 1, 1) },
		"test split: images of 3x2x1, want 3x1x1":         func(d *Dataset) { d.Test = newImages(1, 3, 2, 1) },
		"2 means and 3 standard deviations":               func(d *Dataset) { d.Mean = d.Mean[:2] },
		"channel 1 has mean 0.5 and standard deviation 0": func(d *Dataset) { d.Mean[1], d.Std[1] = 0.5, 0 },
		"channel 0 has mean NaN":                          func(d *Dataset) { d.Mean[0] = float32(math.NaN()) },
		"valid split: 2 images of 0x1 pixels":             func(d *Dataset) { d.Valid.Width = 0; d.Valid.Count = 2 },
	} {
		d := small()
		break_(d)
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	d := small()
	d.Valid = newImages(0, 3, 1, 1)
	if err := d.Check(); err != nil {
		t.Errorf("an empty validation split: %v", err)
	}
}
