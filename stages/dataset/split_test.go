package dataset

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

func TestEqualQuotas(t *testing.T) {
	for _, c := range []struct {
		counts []int
		n      int
		want   []int
	}{
		{[]int{5, 5, 5}, 6, []int{2, 2, 2}},
		{[]int{5, 5, 5}, 7, []int{3, 2, 2}},
		{[]int{1, 9, 9}, 9, []int{1, 4, 4}},
		{[]int{1, 9, 9}, 10, []int{1, 5, 4}},
		{[]int{0, 2, 3}, 100, []int{0, 2, 3}},
		{[]int{4, 4}, 0, []int{0, 0}},
		{[]int{4, 4, 4}, 2, []int{1, 1, 0}},
	} {
		if got := equalQuotas(c.counts, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d of %v: %v, want %v", c.n, c.counts, got, c.want)
		}
	}
}

func sum(values []int) (total int) {
	for _, v := range values {
		total += v
	}
	return total
}

// A quota never exceeds what there is, the sum is what was asked for, and no class gets more than one above another
// that has more to give.
func TestQuotas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 12).Draw(t, "counts")
		n := rapid.IntRange(0, sum(counts)).Draw(t, "n")
		equal := equalQuotas(counts, n)
		if sum(equal) != n {
			t.Fatalf("quotas %v sum up to %d, want %d", equal, sum(equal), n)
		}
		fraction := rapid.Float64Range(0, 1).Draw(t, "fraction")
		shares := fractionQuotas(counts, fraction)
		if want := int(math.Round(float64(sum(counts)) * fraction)); sum(shares) != want {
			t.Fatalf("shares %v sum up to %d, want %d", shares, sum(shares), want)
		}
		for c := range counts {
			if equal[c] > counts[c] || shares[c] > counts[c] {
				t.Fatalf("quotas %v, shares %v of %v", equal, shares, counts)
			}
			if math.Abs(float64(shares[c])-fraction*float64(counts[c])) >= 1 {
				t.Fatalf("share %d of %d is not the fraction %v", shares[c], counts[c], fraction)
			}
			for o := range counts {
				if equal[o] > equal[c]+1 && equal[c] < counts[c] {
					t.Fatalf("quotas %v of %v", equal, counts)
				}
			}
		}
	})
}

// marked returns images each of which is known by its pixels.
func marked(count, classes int) *Images {
	im := newImages(count, 3, 1, 1)
	for i := range count {
		im.Labels[i] = int64(i * i % classes)
		copy(im.at(i), []uint8{uint8(i), uint8(i >> 8), uint8(im.Labels[i])})
	}
	return im
}

// names returns what tells the images apart, and fails when a label has come away from its image.
func names(t interface{ Fatalf(string, ...any) }, im *Images) []string {
	out := make([]string, im.Count)
	for i := range out {
		if int64(im.at(i)[2]) != im.Labels[i] {
			t.Fatalf("image %d has label %d, had %d", i, im.Labels[i], im.at(i)[2])
		}
		out[i] = fmt.Sprintf("%05d", int(im.at(i)[0])+int(im.at(i)[1])<<8)
	}
	return out
}

func TestDivideAndLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(2, 10).Draw(t, "classes")
		im := marked(rapid.IntRange(1, 300).Draw(t, "count"), classes)
		from, fraction := rapid.Uint64().Draw(t, "seed"), rapid.Float64Range(0, 0.99).Draw(t, "fraction")
		rest, drawn, _ := im.divide(fraction, classes, seed.New(from), nil, &storage{})
		a, b := names(t, rest), names(t, drawn)
		if !slices.IsSorted(a) || !slices.IsSorted(b) {
			t.Fatal("the order of the images has changed")
		}
		both := slices.Concat(a, b)
		slices.Sort(both)
		if !slices.Equal(both, names(t, im)) {
			t.Fatal("the parts together are not the images")
		}
		again, _, _ := im.divide(fraction, classes, seed.New(from), nil, &storage{})
		if !slices.Equal(names(t, again), a) {
			t.Fatal("the same seed divides otherwise")
		}
		n := rapid.IntRange(0, im.Count+5).Draw(t, "n")
		some := names(t, im.limit(n, classes, seed.New(from)))
		if len(some) != min(n, im.Count) || !slices.IsSorted(some) || len(slices.Compact(some)) != len(some) {
			t.Fatalf("%d of %d images became %v", n, im.Count, some)
		}
	})
}

func TestDivideDependsOnSeed(t *testing.T) {
	im := marked(200, 10)
	_, a, _ := im.divide(0.5, 10, seed.New(1), nil, &storage{})
	_, b, _ := im.divide(0.5, 10, seed.New(2), nil, &storage{})
	if slices.Equal(names(t, a), names(t, b)) {
		t.Error("two seeds divide alike")
	}
}
