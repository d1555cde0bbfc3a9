package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
)

// listener hears what a person should know about a source.
type listener struct{ info, warn func(string) }

// say tells what there is to tell.
func (l listener) say(to func(string), text string) {
	if text != "" && to != nil {
		to(text)
	}
}

// readFolder reads a folder of images. Which images go where is decided by their names and by which of them are copies, so that only those
// that are used are decoded. It returns the groups of training images that are copies of each other byte by byte; with near copies
// they are in Groups.
func (d *Dataset) readFolder(ctx context.Context, s Settings, from uint64, tell listener, keep *storage) (copies []int64, err error) {
	folder, err := listFolder(ctx, s.Path, s.testFolder())
	if err != nil {
		return nil, folderError(s.Path, err)
	}
	tell.say(tell.info, folder.note())
	d.Name, d.Classes = folderName(s.Path), folder.classes
	d.View = &View{Center: s.TestCenter, Stored: s.IgnoreEXIF}
	train, test, groups, err := folder.divide(ctx, s, from, tell)
	if err != nil {
		return nil, folderError(s.Path, err)
	}
	d.Source = fmt.Sprintf("images in one folder a class, the center square at %dx%d", s.size(), s.size())
	if s.trainSize() != s.size() || s.TestCenter != 1 {
		d.Source = fmt.Sprintf("images in one folder a class, the center square at %dx%d for training, %v of its side at %dx%d for the test", s.trainSize(), s.trainSize(), s.TestCenter, s.size(), s.size())
	}
	var seen readings
	var places []*pixels
	for _, part := range []struct {
		name   string
		count  int
		files  []imageFile
		size   int
		center float64
		train  bool
	}{{"training", s.TrainImages, train, s.trainSize(), 1, true}, {"test", s.TestImages, test, s.size(), s.TestCenter, false}} {
		files, note := part.files, ""
		if part.count > 0 && part.count < len(files) {
			note = fmt.Sprintf("%d of ", part.count)
			quotas := equalQuotas(labelsOf(files).ClassCounts(len(d.Classes)), part.count)
			files, _ = drawFiles(files, quotas, seed.New(from, "limit", part.name), nil)
		}
		d.Source += fmt.Sprintf(", %s%d %s images", note, len(part.files), part.name)
		// Files come class by class. Batches that are taken in order, as architectures are scored on, need all classes.
		files = slices.Clone(files)
		seed.New(from, "order", part.name).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		var place *pixels
		if part.train && s.Keep == KeepFiles {
			place, err = keep.encoded(part.name, s.Path, files, View{part.size, part.center, s.IgnoreEXIF})
		} else {
			place, err = keep.images(part.name, len(files), part.size)
		}
		if err != nil {
			return nil, errors.Join(err, discardAll(places))
		}
		places = append(places, place)
		found, err := readPictures(ctx, s.Path, files, framing{part.size, part.center, s.IgnoreEXIF}, place)
		if err == nil && len(found.bad) > 0 && s.OnBad == OnBadSkip {
			files, err = dropBad(files, found, place)
		}
		place.images.Groups = groupsOf(files, groups)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s images from %s: %w", part.name, s.Path, err), discardAll(places))
		}
		seen.add(found)
	}
	if err := seen.err(); err != nil {
		if s.OnBad != OnBadSkip {
			return nil, errors.Join(badError(s.Path, seen), discardAll(places))
		}
		tell.say(tell.warn, fmt.Sprintf("left out %s that cannot be read:\n%v", count(len(seen.bad), "picture"), err))
		d.Source += fmt.Sprintf(", %d of them left out as they cannot be read", len(seen.bad))
	}
	tell.say(tell.warn, seen.note())
	if d.Train, err = places[0].finish(); err != nil {
		return nil, errors.Join(err, places[1].discard())
	}
	if d.Test, err = places[1].finish(); err != nil || s.NearCopies == NearIgnore {
		return d.Train.Groups, err
	}
	exact := map[string]int64{}
	for i, g := range d.Train.Groups {
		exact[d.Train.Files[i]] = g
	}
	for i, g := range d.Test.Groups {
		exact[d.Test.Files[i]] = g
	}
	err = d.separateNear(ctx, folderReader{settings: s, seed: from, divided: folder.hasTest, keep: keep, tell: tell})
	if groups == nil || err != nil {
		return nil, err
	}
	for _, file := range d.Train.Files {
		copies = append(copies, exact[file])
	}
	return copies, nil
}

func discardAll(places []*pixels) error {
	var errs []error
	for _, p := range places {
		errs = append(errs, p.discard())
	}
	return errors.Join(errs...)
}

// dropBad takes the files that cannot be read out of the list and out of the pixels.
func dropBad(files []imageFile, found readings, place *pixels) ([]imageFile, error) {
	indices := make([]int, len(found.bad))
	for i, b := range found.bad {
		indices[i] = b.index
	}
	kept := make([]imageFile, 0, len(files)-len(indices))
	for i, f := range files {
		if _, bad := slices.BinarySearch(indices, i); !bad {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil, found.err()
	}
	return kept, place.drop(indices)
}

// divide returns the files of the training and of the test split, and the groups of files with the same bytes, by name. A file and its
// copies are never in both.
func (f *imageFolder) divide(ctx context.Context, s Settings, from uint64, tell listener) (train, test []imageFile, groups map[string]int, err error) {
	all := slices.Concat(f.train, f.test)
	copies, err := copiesOf(ctx, f.path, all)
	if err != nil {
		return nil, nil, nil, err
	}
	if copies != nil {
		note, warning := aboutCopies(f.train, copies[:len(f.train)])
		tell.say(tell.info, note)
		tell.say(tell.warn, warning)
		groups = make(map[string]int, len(all))
		for i, file := range all {
			groups[file.name] = copies[i]
		}
	}
	if f.hasTest {
		train, note := apart(f.train, f.test, groups)
		tell.say(tell.warn, note)
		return train, f.test, groups, nil
	}
	quotas := fractionQuotas(labelsOf(f.train).ClassCounts(len(f.classes)), s.TestFraction)
	test, train = drawFiles(f.train, quotas, seed.New(from, "test"), copies)
	return train, test, groups, nil
}

// groupsOf returns the group of each file, as Images.draw takes them; nil where no file has a copy.
func groupsOf(files []imageFile, groups map[string]int) []int64 {
	if groups == nil {
		return nil
	}
	out := make([]int64, len(files))
	for i, f := range files {
		out[i] = int64(groups[f.name])
	}
	return out
}

// folderName returns what a folder is called in results: its own name as it stands in the path, for which alone it
// is the same wherever the program is started.
func folderName(path string) string {
	switch name := filepath.Base(filepath.Clean(path)); name {
	case ".", "..", string(filepath.Separator):
		return "images"
	default:
		return name
	}
}

// folderDigests returns a digest of the images of each class.
func folderDigests(ctx context.Context, path, testFolder string) (map[string]string, error) {
	folder, err := listFolder(ctx, path, testFolder)
	if err != nil {
		return nil, folderError(path, err)
	}
	sums, err := folder.digests(ctx)
	if err != nil {
		return nil, folderError(path, err)
	}
	return sums, nil
}

// checkShares returns an error when a class has no image in a split that has images.
func (d *Dataset) checkShares(s Settings) error {
	for _, part := range d.splits() {
		if part.images == d.Valid && s.ValidFraction == 0 {
			continue
		}
		class := slices.Index(part.images.ClassCounts(len(d.Classes)), 0)
		if class < 0 {
			continue
		}
		has := 0
		for _, other := range d.splits() {
			has += other.images.ClassCounts(len(d.Classes))[class]
		}
		return &pipeline.SettingError{Path: "path", Err: fmt.Errorf("the class %q has %d images in use, which leaves none for the %s split: add images of it (%d a class are enough for these fractions), "+
			"or raise train_images and test_images where they are set", d.Classes[class], has, part.name, enoughImages(s))}
	}
	return nil
}

// enoughImages returns how many images of a class are enough for each split to get one, however the rounding goes.
func enoughImages(s Settings) int {
	share := func(f float64) int { // the fewest images of which the fraction and the rest are at least one
		return int(math.Ceil(max(1/f, 1/(1-f))))
	}
	rest := 1
	if s.ValidFraction > 0 {
		rest = share(s.ValidFraction)
	}
	return max(share(s.TestFraction), int(math.Ceil(float64(rest)/(1-s.TestFraction)))+1)
}

// labelsOf returns images without pixels, to count and to draw from.
func labelsOf(files []imageFile) *Images {
	im := newImages(len(files), 3, 0, 0)
	for i, f := range files {
		im.Labels[i] = int64(f.label)
	}
	return im
}

// drawFiles chooses quotas[c] files of each class c at random and returns them and the others, both in their old order.
// Copies stay together; see Images.draw.
func drawFiles(files []imageFile, quotas []int, rng *rand.Rand, copies []int) (chosen, others []imageFile) {
	take := func(indices []int) []imageFile {
		out := make([]imageFile, len(indices))
		for to, from := range indices {
			out[to] = files[from]
		}
		return out
	}
	a, b := labelsOf(files).draw(quotas, rng, copies)
	return take(a), take(b)
}

// folderError says that the setting path is to blame, and of a folder that is not there how it should look.
func folderError(path string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = fmt.Errorf("read images from %s: %w", path, err)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w. %s", err, noFolder())
	}
	return &pipeline.SettingError{Path: "path", Err: err}
}

func noFolder() string {
	return "source folder reads your own images: put the " + formatNames() + " images of each class into a folder with the name of the class, " +
		"and give the folder that holds these folders as --set data.path=PATH (with data the stage's id)"
}
