package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
)

// Pictures that are there twice are drawn once: naswot has no value for a batch in which two are equal.
func TestEqualPicturesAreDrawnOnce(t *testing.T) {
	o := stagetest.DefaultImages()
	d := stagetest.Dataset(t, o)
	n := d.Train.Values()
	for i := 1; i < d.Train.Count; i += 2 { // every second one is the one before
		copy(d.Train.Pixels[i*n:(i+1)*n], d.Train.Pixels[(i-1)*n:i*n])
	}
	different := d.Train.Count / 2
	st := Settings{Proxies: []string{NASWOT}, Images: different}
	e, err := New(t.Context(), stagetest.Runtime(t), space.NASBench201(), stagetest.Macro(), d.Train, d.Mean, d.Std, 5, st)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := e.batches[0]
	if len(b.labels) != different || len(b.images) != different*n {
		t.Fatalf("%d images", len(b.labels))
	}
	for i := range different {
		for j := range i {
			if slices.Equal(b.images[i*n:(i+1)*n], b.images[j*n:(j+1)*n]) {
				t.Errorf("images %d and %d are equal", j, i)
			}
		}
	}
	r, err := e.Evaluate(t.Context(), []space.Architecture{{3, 3, 3, 3, 3, 3}})
	if err != nil || !r[0].OK() {
		t.Errorf("%+v: %v", r, err)
	}
	st.Images = different + 1
	if _, err := New(t.Context(), stagetest.Runtime(t), space.NASBench201(), stagetest.Macro(), d.Train, d.Mean, d.Std, 5, st); err == nil || !strings.Contains(err.Error(), "different ones left for a batch of") {
		t.Errorf("%v", err)
	}
}
