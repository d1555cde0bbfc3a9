package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

// Every pixel of a mixed image is of the image itself or, in one box, of the other of its pair; the share of the labels is that of the
// pixels, and nothing is lost.
func TestMixedImagesAreOfTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mixer{
			rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "probability"),
			rapid.IntRange(1, 3).Draw(t, "channels"), rapid.IntRange(1, 9).Draw(t, "height"), rapid.IntRange(1, 9).Draw(t, "width"),
		}
		n, plane := rapid.IntRange(1, 5).Draw(t, "images"), m.height*m.width
		images, labels, mixed := make([]float32, n*m.channels*plane), make([]int64, n), make([]int64, n)
		for i := range images {
			images[i] = float32(i)
		}
		for i := range labels {
			labels[i] = int64(10 * i)
		}
		share := m.mix(images, labels, mixed, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		if m.probability == 0 && share != 1 {
			t.Fatalf("the share is %v with nothing to mix", share)
		}
		for i := range n {
			other := n - 1 - i
			if want := labels[other]; share < 1 && mixed[i] != want {
				t.Fatalf("image %d has the second label %d, want %d", i, mixed[i], want)
			}
			own := 0
			for at, v := range images[i*m.channels*plane:][:m.channels*plane] {
				place := int(v) % (m.channels * plane)
				from := int(v) / (m.channels * plane)
				if place != at || from != i && from != other {
					t.Fatalf("image %d has at %d the pixel %d of image %d", i, at, place, from)
				}
				if from == i {
					own++
				}
			}
			want := float64(own) / float64(m.channels*plane)
			if i == other {
				want = float64(share) // with itself
			}
			if math.Abs(float64(share)-want) > 1e-6 {
				t.Fatalf("the share of image %d is %v, of its pixels %v are its own", i, share, want)
			}
		}
	})
}

func TestHalfOfTheStepsAreMixed(t *testing.T) {
	m, rng := mixer{0.5, 1, 32, 32}, rand.New(rand.NewPCG(1, 2))
	images, labels, mixed := make([]float32, 2*32*32), make([]int64, 2), make([]int64, 2)
	count, sum := 0, 0.0
	for range 4000 {
		if share := m.mix(images, labels, mixed, rng); share < 1 {
			count++
			sum += float64(share)
		}
	}
	// Of a box with a uniform area of which on average a part lies outside more than half of an image is left.
	if mean := sum / float64(count); count < 1900 || count > 2100 || mean < 0.5 || mean > 0.75 {
		t.Errorf("%d of 4000 steps are mixed, with a mean share of %v", count, mean)
	}
}

func TestInterruptedMixedTrainingEndsWithTheSameBytes(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in, "cutmix: 0.7")
	want := run.Must(t)
	run.Scratch = interrupted(t, run, inSecondEpoch).Scratch
	stagetest.SameBytes(t, want, run.Must(t))
	if plain := training(t, in).Must(t); plain.Bytes(t)["weights"] == want.Bytes(t)["weights"] {
		t.Error("mixing changes nothing")
	}
	s := DefaultSettings()
	s.CutMix = 1.5
	if got := settingPaths(s.Validate()); !slices.Equal(got, []string{"cutmix"}) {
		t.Errorf("mistakes are %v", got)
	}
}
