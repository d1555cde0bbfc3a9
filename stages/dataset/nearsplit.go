package dataset

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// What becomes of near copies on both sides of the split between training and test.
const (
	NearTogether = "together" // they are kept on one side, as copies are
	NearReport   = "report"   // they are only said
	NearIgnore   = "ignore"   // they are not looked for
)

// mostNearPairs is how many pairs are named.
const mostNearPairs = 50

// Near says what was found of pictures that are nearly the same: rescaled, compressed again, made brighter or cropped a little. Copies byte
// by byte are not counted.
type Near struct {
	Images int `json:"images"` // pictures that are nearly the same as another
	// Across are those of them that had one on the other side of the split between training and test when it was first drawn.
	Across  int        `json:"across"`
	Moved   int        `json:"moved,omitempty"`    // pictures that changed sides for it
	LeftOut int        `json:"left_out,omitempty"` // training pictures left out, where the folder itself has a test
	Apart   int        `json:"apart,omitempty"`    // those of Across that are still on both sides
	Pairs   []NearPair `json:"pairs,omitempty"`    // up to 50, those across the split first, then the most alike
}

// NearPair is two pictures that are nearly the same.
type NearPair struct {
	A      string  `json:"a"` // path below the folder
	B      string  `json:"b"`
	Alike  float64 `json:"alike"`            // correlation of their pixels where one is laid over the other, up to 1
	Across bool    `json:"across,omitempty"` // one was in the training split, the other in the test
}

// folderReader is what reads a folder once more, to look at near copies.
type folderReader struct {
	settings Settings
	seed     uint64
	divided  bool // the folder has a test of its own
	keep     *storage
	tell     listener
}

// separateNear finds near copies in both splits and keeps them on one side. Afterwards Groups has them together with the copies.
func (d *Dataset) separateNear(ctx context.Context, r folderReader) error {
	s := r.settings
	if d.Train.Count+d.Test.Count > nearMost {
		r.tell.say(r.tell.info, fmt.Sprintf("%d pictures: near copies are looked for among up to %d only", d.Train.Count+d.Test.Count, nearMost))
		return nil
	}
	pairs, err := nearPairs(ctx, nearImages{d.Train, s.TestCenter, r.keep.forget}, nearImages{d.Test, 1, r.keep.forget})
	if err != nil {
		return fmt.Errorf("looking for near copies: %w", err)
	}
	all := allImages{d.Train, d.Test}
	exact := all.groups()
	pairs = slices.DeleteFunc(pairs, func(p nearPair) bool { return exact[p.a] != 0 && exact[p.a] == exact[p.b] })
	d.Near = nearFound(all, pairs)
	r.tell.say(r.tell.info, d.Near.note(s.NearCopies != NearReport))
	if len(pairs) == 0 {
		return nil
	}
	groups := joinGroups(exact, pairs)
	switch {
	case s.NearCopies == NearReport:
		d.Near.Apart = d.Near.Across
		all.setGroups(groups)
		return nil
	case r.divided:
		all.setGroups(groups)
		return d.leaveNearOut(r, pairs)
	}
	for {
		inTest := all.drawTogether(groups, len(d.Classes))
		class := all.missing(inTest, len(d.Classes))
		if class < 0 {
			all.setGroups(groups)
			return d.move(ctx, r, inTest)
		}
		// All of a class hangs together, as frames of one film do.
		r.tell.say(r.tell.warn, fmt.Sprintf("the near copies of class %q stay on both sides, since one side would be left without any: its accuracy on the test is likely to be too high. "+
			"Take pictures of other occasions for the test, in a folder %s beside %s", d.Classes[class], s.testFolder(), trainFolder))
		kept := pairs[:0:0]
		for _, p := range pairs {
			if all.label(p.a) != class && all.label(p.b) != class {
				kept = append(kept, p)
			} else if p.a < d.Train.Count && p.b >= d.Train.Count {
				d.Near.Apart++
			}
		}
		if len(kept) == len(pairs) { // copies byte by byte do it, which are kept together whatever comes
			return nil
		}
		pairs, groups = kept, joinGroups(exact, kept)
	}
}

func nearFound(all allImages, pairs []nearPair) *Near {
	n := &Near{}
	near, across := map[int]bool{}, map[int]bool{}
	for _, p := range pairs {
		near[p.a], near[p.b] = true, true
		pair := NearPair{A: all.file(p.a), B: all.file(p.b), Alike: float64(int(p.alike*1e4+0.5)) / 1e4, Across: p.a < all.train.Count && p.b >= all.train.Count}
		if pair.Across {
			across[p.a], across[p.b] = true, true
		}
		n.Pairs = append(n.Pairs, pair)
	}
	n.Images, n.Across = len(near), len(across)
	slices.SortStableFunc(n.Pairs, func(a, b NearPair) int {
		switch {
		case a.Across != b.Across:
			return map[bool]int{true: -1, false: 1}[a.Across]
		case a.Alike != b.Alike:
			return map[bool]int{true: -1, false: 1}[a.Alike > b.Alike]
		}
		return 0
	})
	n.Pairs = n.Pairs[:min(mostNearPairs, len(n.Pairs))]
	return n
}

// note says what was found, or "".
func (n *Near) note(together bool) string {
	if n.Images == 0 {
		return ""
	}
	text := fmt.Sprintf("%s nearly the same as another, such as %s and %s", countAre(n.Images, "picture"), n.Pairs[0].A, n.Pairs[0].B)
	switch {
	case n.Across == 0:
		return text + "; none has one on the other side of the split"
	case together:
		return text + fmt.Sprintf("; %d had one on the other side of the split, where the test would ask for what was learned by heart, so near copies are kept on one side", n.Across)
	}
	return text + fmt.Sprintf("; %d of them have one on the other side of the split, so the test asks for what was learned by heart", n.Across)
}

// leaveNearOut takes the training images out that are near copies of test images.
func (d *Dataset) leaveNearOut(r folderReader, pairs []nearPair) error {
	out := map[int]bool{}
	for _, p := range pairs {
		if p.a < d.Train.Count && p.b >= d.Train.Count {
			out[p.a] = true
		}
	}
	if len(out) == 0 {
		return nil
	}
	var kept []int
	counts := make([]int, len(d.Classes))
	for i, l := range d.Train.Labels {
		if !out[i] {
			kept = append(kept, i)
			counts[l]++
		}
	}
	if class := slices.Index(counts, 0); class >= 0 {
		d.Near.Apart = d.Near.Across
		r.tell.say(r.tell.warn, fmt.Sprintf("all training pictures of class %q are nearly the same as pictures of the test, and are kept: its accuracy on the test is likely to be too high", d.Classes[class]))
		return nil
	}
	r.tell.say(r.tell.warn, fmt.Sprintf("left %s out that %s nearly the same as pictures of the test, such as %s", count(len(out), "training file"), areOr(len(out)), d.Near.Pairs[0].A))
	d.Near.LeftOut = len(out)
	train, err := d.collect(r, "train-apart", d.Train.Height, kept, nil)
	if err == nil {
		d.Train = train
	}
	return err
}

// move brings the images to their sides: inTest has all images of both splits.
func (d *Dataset) move(ctx context.Context, r folderReader, inTest []bool) error {
	var train, test, moved []int
	for i, in := range inTest {
		if in {
			test = append(test, i)
		} else {
			train = append(train, i)
		}
		if in != (i >= d.Train.Count) {
			moved = append(moved, i)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	d.Near.Moved = len(moved)
	again := map[int]bool{} // to be read again, since the other split shows something else of a picture
	if s := r.settings; s.trainSize() != s.size() || s.TestCenter != 1 || s.Keep == KeepFiles {
		for _, i := range moved {
			again[i] = true
		}
	}
	// Those that come from the other side would all be at the end, and batches that are taken in order need all classes.
	for name, list := range map[string][]int{"train": train, "test": test} {
		seed.New(r.seed, "order", "near", name).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	newTrain, err := d.collect(r, "train-together", d.Train.Height, train, again)
	if err != nil {
		return err
	}
	newTest, err := d.collect(r, "test-together", d.Test.Height, test, again)
	if err != nil {
		return err
	}
	d.Train, d.Test = newTrain, newTest
	return ctx.Err()
}

// collect puts images of both splits into a place of their own.
func (d *Dataset) collect(r folderReader, name string, size int, indices []int, again map[int]bool) (_ *Images, err error) {
	s := r.settings
	f := framing{size, 1, s.IgnoreEXIF}
	if name == "test-together" {
		f.center = s.TestCenter
	}
	var place *pixels
	if d.Train.Encoded != nil && name != "test-together" {
		// In memory there are only those that come from the other side.
		v := d.Train.Encoded.View
		place = &pixels{images: &Images{Count: len(indices), Channels: 3, Height: v.Size, Width: v.Size, Labels: make([]int64, len(indices))}, view: v, contents: &contents{list: make([][]byte, len(indices))}}
	} else if place, err = r.keep.images(name, len(indices), size); err != nil {
		return nil, err
	}
	all, decoder := allImages{d.Train, d.Test}, new(jpeg.Decoder)
	groups := all.groups()
	place.images.Files, place.images.Groups = make([]string, len(indices)), make([]int64, len(indices))
	for to, i := range indices {
		im, k := all.find(i)
		var values []uint8
		var content []byte
		switch {
		case again[i]:
			var p square
			if p, content, err = readPicture(filepath.Join(s.Path, filepath.FromSlash(all.file(i))), f, decoder); err != nil {
				return nil, discardAfter(place, err)
			}
			values = p.image.Pixels
		case place.contents != nil:
			content = im.Encoded.Contents[k]
		default:
			values = im.at(k)
		}
		if place.contents != nil {
			place.contents.list[to] = content
		} else if err := place.put(to, values, nil); err != nil {
			return nil, discardAfter(place, err)
		}
		place.images.Labels[to], place.images.Files[to], place.images.Groups[to] = int64(all.label(i)), all.file(i), int64(groups[i])
	}
	return place.finish()
}

func discardAfter(place *pixels, err error) error {
	if other := place.discard(); other != nil {
		return fmt.Errorf("%w; and %w", err, other)
	}
	return err
}
