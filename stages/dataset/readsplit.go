package dataset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

// The splits that ReadSplit knows.
const (
	SplitTrain = "train" // everything to learn from: no validation split is taken out of it
	SplitTest  = "test"
	SplitAll   = "all" // both; the images of a folder that is not divided
)

// Split is a part of a data set as it lies in its files.
type Split struct {
	Name    string   // of the data set
	Source  string   // where the images are from and what was done to them, in one line
	Split   string   // SplitTrain, SplitTest or SplitAll
	Classes []string // class names by label
	Images  *Images
	Note    string // what was skipped in a folder; empty when nothing was
}

// SplitOptions say what ReadSplit reads.
type SplitOptions struct {
	Source string // SourceCIFAR10, SourceCIFAR100, SourceIDX or SourceFolder
	Path   string
	// Split is the split to read. Empty means SplitTest, or SplitAll of a folder that is not divided into train and test.
	Split string
	// Size is the height and width to bring images to; 0 for their own, or 32 for those of a folder.
	Size int
	// Center is the share of the side of a folder's images that is shown, above 0 to 1; 0 for 1. See Settings.TestCenter.
	Center float64
	// IgnoreEXIF takes the pixels of a folder's images as they are stored. See Settings.IgnoreEXIF.
	IgnoreEXIF bool
	// Limit is the largest number of images, drawn with equal classes; 0 for all.
	Limit int
	// SkipBad leaves pictures of a folder out that cannot be read, and says so in Split.Note; otherwise they are an error that names all.
	SkipBad bool
}

// ReadSplit reads one split of a data set from its files, to measure a model on it: nothing is kept apart for validation, and
// a folder that has no splits is read whole. The images come in the order of the files.
func ReadSplit(ctx context.Context, o SplitOptions) (*Split, error) {
	wrap := func(err error) error { return fmt.Errorf("read images from %s: %w", o.Path, err) }
	if o.Size < 0 || o.Size > maxFolderSize || o.Limit < 0 || !(o.Center >= 0 && o.Center <= 1) {
		return nil, wrap(fmt.Errorf("size %d, center %v and limit %d: want a size of 0 to %d, a center of 0 to 1 and a limit of 0 or more", o.Size, o.Center, o.Limit, maxFolderSize))
	}
	if !slices.Contains([]string{"", SplitTrain, SplitTest, SplitAll}, o.Split) {
		return nil, wrap(fmt.Errorf("there is no split %q; use %s, %s or %s", o.Split, SplitTrain, SplitTest, SplitAll))
	}
	out := &Split{Name: folderName(o.Path), Split: o.Split}
	if out.Split == "" {
		out.Split = SplitTest
	}
	var err error
	switch o.Source {
	case SourceFolder:
		err = out.readFolder(ctx, o)
	case SourceIDX:
		err = out.readIDX(ctx, o)
	case SourceCIFAR10:
		err = out.readCIFAR(ctx, o, cifar10())
	case SourceCIFAR100:
		err = out.readCIFAR(ctx, o, cifar100())
	default:
		err = fmt.Errorf("the source %q has no files; use %s, %s, %s or %s", o.Source, SourceIDX, SourceCIFAR10, SourceCIFAR100, SourceFolder)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return out, nil
}

func (s *Split) readFolder(ctx context.Context, o SplitOptions) error {
	folder, err := listFolder(ctx, o.Path, defaultTestFolder)
	if err != nil {
		return err
	}
	s.Classes, s.Note = folder.classes, folder.note()
	switch {
	case !folder.hasTest && o.Split != "" && o.Split != SplitAll:
		return fmt.Errorf("there is no split %q: the folder has no folders %s and %s; leave the split out, or say %s", o.Split, trainFolder, defaultTestFolder, SplitAll)
	case !folder.hasTest:
		s.Split = SplitAll
	}
	files := map[string][]imageFile{SplitTrain: folder.train, SplitTest: folder.test, SplitAll: slices.Concat(folder.train, folder.test)}[s.Split]
	if o.Limit > 0 && o.Limit < len(files) {
		quotas := equalQuotas(labelsOf(files).ClassCounts(len(s.Classes)), o.Limit)
		files, _ = drawFiles(files, quotas, limitStream(), nil)
	}
	size, center := o.Size, o.Center
	if size == 0 {
		size = cifarSize
	}
	if center == 0 {
		center = 1
	}
	place, err := (&storage{}).images(s.Split, len(files), size)
	if err != nil {
		return err
	}
	found, err := readPictures(ctx, o.Path, files, framing{size, center, o.IgnoreEXIF}, place)
	if err != nil {
		return err
	}
	if err := found.err(); err != nil {
		if !o.SkipBad {
			return fmt.Errorf("%s cannot be read:\n%w", count(len(found.bad), "picture"), err)
		}
		if _, err := dropBad(files, found, place); err != nil {
			return err
		}
		s.Note = joinNotes(s.Note, fmt.Sprintf("left out %s that cannot be read:\n%v", count(len(found.bad), "picture"), err))
	}
	s.Note = joinNotes(s.Note, found.note())
	s.Images, err = place.finish()
	s.Source = fmt.Sprintf("images in one folder a class, %v of the center square at %dx%d", center, size, size)
	return err
}

func (s *Split) readIDX(ctx context.Context, o SplitOptions) error {
	parts := map[string][]string{SplitTrain: {idxTrain}, SplitTest: {idxTest}, SplitAll: {idxTrain, idxTest}}[s.Split]
	var all []*Images
	highest := int64(0)
	for _, p := range parts {
		im, err := readIDXSplit(ctx, o.Path, p)
		if err != nil {
			return err
		}
		all = append(all, im)
		highest = max(highest, slices.Max(im.Labels))
	}
	for c := range highest + 1 {
		s.Classes = append(s.Classes, strconv.FormatInt(c, 10))
	}
	s.Source = "IDX files"
	return s.finish(ctx, o, all)
}

func (s *Split) readCIFAR(ctx context.Context, o SplitOptions, f cifarFormat) error {
	train, test, classes, err := f.read(ctx, o.Path, len(f.labels)-1)
	if err != nil {
		return err
	}
	s.Name, s.Classes, s.Source = f.name, classes, f.title+", binary version"
	return s.finish(ctx, o, map[string][]*Images{SplitTrain: {train}, SplitTest: {test}, SplitAll: {train, test}}[s.Split])
}

// finish joins, limits and resizes images that were read whole.
func (s *Split) finish(ctx context.Context, o SplitOptions, parts []*Images) error {
	if o.Center != 0 && o.Center != 1 {
		return fmt.Errorf("a center of %v is for a folder of images; these are shown whole", o.Center)
	}
	im := parts[0]
	if len(parts) > 1 {
		other := parts[1]
		if im.Height != other.Height || im.Width != other.Width {
			return fmt.Errorf("training images of %dx%d and test images of %dx%d: the files do not belong together", im.Width, im.Height, other.Width, other.Height)
		}
		im = &Images{
			Count: im.Count + other.Count, Channels: im.Channels, Height: im.Height, Width: im.Width,
			Pixels: slices.Concat(im.Pixels, other.Pixels), Labels: slices.Concat(im.Labels, other.Labels),
		}
	}
	if o.Limit > 0 {
		im = im.limit(o.Limit, len(s.Classes), limitStream())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	switch {
	case o.Size == 0 || o.Size == im.Height && o.Size == im.Width:
	case im.Height == im.Width:
		im, err = im.resize(o.Size)
		s.Source += fmt.Sprintf(", brought to %dx%d", o.Size, o.Size)
	case o.Size <= im.Height && o.Size <= im.Width:
		im, err = im.Downscale(o.Size, o.Size)
		s.Source += fmt.Sprintf(", brought to %dx%d", o.Size, o.Size)
	default:
		err = fmt.Errorf("images of %dx%d pixels cannot be brought to %dx%[3]d: only square images are enlarged", im.Width, im.Height, o.Size)
	}
	s.Images = im
	return err
}

// limitStream draws which images are left out: always the same ones, since a measurement has no seed.
func limitStream() *rand.Rand { return seed.New(1, "limit", "split") }

// joinNotes puts one note behind another; either may be empty.
func joinNotes(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n" + b
}
