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

// Of few pictures as many are taken as there are different ones, also where copies stand among the last of an epoch.
func TestBatchesFitFewPictures(t *testing.T) {
	d := stagetest.Dataset(t, stagetest.DefaultImages())
	n := d.Train.Values()
	copy(d.Train.Pixels[n:2*n], d.Train.Pixels[:n])
	copy(d.Train.Pixels[2*n:3*n], d.Train.Pixels[:n])
	for name, batches := range map[string]int{NASWOT: 1, ZiCo: 2} {
		st, err := (Settings{Proxies: []string{name}, Images: 10 * d.Train.Count}).Fitting(d.Train)
		if err != nil {
			t.Fatal(err)
		}
		if want := (d.Train.Count - 2) / batches; st.Images != want {
			t.Errorf("%s: %d images, want %d", name, st.Images, want)
		}
		e, err := New(t.Context(), stagetest.Runtime(t), space.NASBench201(), stagetest.Macro(), d.Train, d.Mean, d.Std, 5, st)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := e.Evaluate(t.Context(), []space.Architecture{{3, 3, 3, 3, 3, 3}})
		if err != nil || !r[0].OK() {
			t.Errorf("%s: %+v: %v", name, r, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	enough := Settings{Proxies: []string{NASWOT}, Images: 2}
	if st, err := enough.Fitting(d.Train); err != nil || st.Images != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}
