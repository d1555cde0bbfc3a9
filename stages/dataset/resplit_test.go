package dataset

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

// Parts are a division in which groups stay together and, where there are none, a class has at most one image more in one part than in
// another; the order of shares has every image once.
func TestFoldsAndShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(4, 60).Draw(t, "images"), rapid.IntRange(2, 6).Draw(t, "parts")
		im := newImages(n, 1, 1, 1)
		grouped := rapid.Bool().Draw(t, "grouped")
		if grouped {
			im.Groups = make([]int64, n)
		}
		for i := range n {
			im.Labels[i] = int64(rapid.IntRange(0, 2).Draw(t, "label"))
			if grouped {
				im.Groups[i] = int64(rapid.IntRange(0, 5).Draw(t, "group"))
			}
		}
		from := rapid.Uint64().Draw(t, "seed")
		fold := im.Folds(k, 3, seed.New(from, "folds"))
		counts, of := map[[2]int]int{}, map[int64]int{}
		for i, f := range fold {
			if f < 0 || f >= k {
				t.Fatalf("part %d of %d", f, k)
			}
			counts[[2]int{int(im.Labels[i]), f}]++
			if !grouped || im.Groups[i] == 0 {
				continue
			}
			if other, ok := of[im.Groups[i]]; ok && other != f {
				t.Fatalf("group %d is in parts %d and %d", im.Groups[i], f, other)
			}
			of[im.Groups[i]] = f
		}
		for c := range 3 {
			least, most := n, 0
			for f := range k {
				least, most = min(least, counts[[2]int{c, f}]), max(most, counts[[2]int{c, f}])
			}
			if !grouped && most-least > 1 {
				t.Fatalf("class %d has %d to %d images in a part", c, least, most)
			}
		}
		order := im.Nested(3, seed.New(from, "nested"))
		seen := make([]bool, n)
		for _, i := range order {
			if seen[i] {
				t.Fatalf("image %d twice", i)
			}
			seen[i] = true
		}
		if len(order) != n {
			t.Fatalf("%d of %d images", len(order), n)
		}
		if !grouped {
			half := make([]int, 3)
			for _, i := range order[:n/2] {
				half[im.Labels[i]]++
			}
			for c, all := range im.ClassCounts(3) {
				if d := 2*half[c] - all; d < -3 || d > 3 {
					t.Fatalf("half of the images has %d of the %d of class %d", half[c], all, c)
				}
			}
		}
	})
}
