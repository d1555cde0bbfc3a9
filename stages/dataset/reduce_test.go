package dataset

import (
	"context"
	"slices"
	"testing"
)

func TestReduceEqualsDrawingFromTheReducedImages(t *testing.T) {
	s := DefaultSettings()
	s.TrainImages, s.TestImages, s.Size = 40, 10, 32
	d, err := Make(context.Background(), s, 7)
	if err != nil {
		t.Fatal(err)
	}
	same, err := d.Reduce(32, 32)
	if err != nil || same != d {
		t.Fatalf("a dataset of the wanted size became another one: %v", err)
	}
	r, err := d.Reduce(16, 16)
	if err != nil {
		t.Fatal(err)
	}
	want, err := d.Valid.Downscale(16, 16)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Valid.Pixels, want.Pixels) || !slices.Equal(r.Valid.Labels, d.Valid.Labels) {
		t.Error("the validation images are not those of the dataset, reduced")
	}
	mean, std := r.Train.statistics(nil)
	if !slices.Equal(r.Mean, mean) || !slices.Equal(r.Std, std) {
		t.Error("the normalization is not that of the reduced training images")
	}
	if d.Train.Height != 32 {
		t.Error("the dataset itself was changed")
	}
	if _, err := d.Reduce(64, 64); err == nil {
		t.Error("images were enlarged")
	}
}
