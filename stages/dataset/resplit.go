package dataset

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Resplit returns a data set of the same classes with other splits: those of the images with the given indices, and no validation
// images. Mean and Std are those of its training images.
func (d *Dataset) Resplit(images *Images, train, test []int) (*Dataset, error) {
	out := *d
	out.Near = nil
	var err error
	if out.Train, err = images.Pick(train); err != nil {
		return nil, fmt.Errorf("split anew: %w", err)
	}
	if out.Test, err = images.Pick(test); err != nil {
		return nil, fmt.Errorf("split anew: %w", err)
	}
	out.Valid = newImages(0, images.Channels, images.Height, images.Width)
	out.Mean, out.Std = out.Train.statistics(nil)
	return &out, nil
}

// Folds divides the images into k parts at random, each with nearly as many images of a class as the others, and returns the part of each
// image, from 0 on. Copies and near copies, by Groups, are in one part. classes is the number of classes.
func (im *Images) Folds(k, classes int, rng *rand.Rand) []int {
	out := make([]int, im.Count)
	have := make([][]int, classes) // images of a class by part
	for c := range have {
		have[c] = make([]int, k)
	}
	sizes := make([]int, k)
	for _, unit := range im.units(rng) {
		// The part with the fewest of the class, of those the smallest, so that classes of one image or two do not all begin with the first.
		c := im.Labels[unit[0]]
		best := 0
		for f := range k {
			if cmp.Or(cmp.Compare(have[c][f], have[c][best]), cmp.Compare(sizes[f], sizes[best])) < 0 {
				best = f
			}
		}
		for _, i := range unit {
			out[i] = best
			have[im.Labels[i]][best]++
			sizes[best]++
		}
	}
	return out
}

// Nested orders the images at random so that the first n of them, for every n, have classes in about the proportions of the whole; copies and
// near copies, by Groups, come one after the other. classes is the number of classes.
func (im *Images) Nested(classes int, rng *rand.Rand) []int {
	counts := im.ClassCounts(classes)
	type placed struct {
		unit []int
		at   float64
	}
	var all []placed
	seen := make([]int, classes)
	for _, unit := range im.units(rng) {
		c := im.Labels[unit[0]]
		all = append(all, placed{unit, (float64(seen[c]) + 0.5) / float64(counts[c])})
		for _, i := range unit {
			seen[im.Labels[i]]++
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	var out []int
	for _, p := range all {
		out = append(out, p.unit...)
	}
	return out
}

// units returns the images at random, those of a group together, large groups first: what is left can then fill the gaps.
func (im *Images) units(rng *rand.Rand) [][]int {
	at := map[int64]int{}
	var units [][]int
	for i := range im.Count {
		if im.Groups == nil || im.Groups[i] == 0 {
			units = append(units, []int{i})
			continue
		}
		g := im.Groups[i]
		if _, ok := at[g]; !ok {
			at[g] = len(units)
			units = append(units, nil)
		}
		units[at[g]] = append(units[at[g]], i)
	}
	rng.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
	slices.SortStableFunc(units, func(a, b []int) int { return len(b) - len(a) })
	return units
}
