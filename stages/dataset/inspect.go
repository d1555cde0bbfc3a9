package dataset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// maxInspected is how many pictures are read to see whether they can be: a few seconds' work.
const maxInspected = 5000

var _ pipeline.Inspector = (*Settings)(nil)

// Inspect implements pipeline.Inspector. Of a folder it lists the images, sees whether every split gets some of each class, and reads up to
// 5,000 of them, evenly spread; all that cannot be read are in the error.
func (s *Settings) Inspect(ctx context.Context) error {
	if s.Source != SourceFolder {
		_, err := s.Fingerprint(ctx)
		return err
	}
	folder, err := listFolder(ctx, s.Path, s.testFolder())
	if err != nil {
		return folderError(s.Path, err)
	}
	train, test, groups, err := folder.divide(ctx, *s, 1, listener{})
	if err != nil {
		return folderError(s.Path, err)
	}
	bad, err := unreadableOf(ctx, s.Path, slices.Concat(folder.train, folder.test))
	switch {
	case err != nil:
		return folderError(s.Path, err)
	case len(bad) > 0 && s.OnBad != OnBadSkip:
		return &pipeline.SettingError{Path: "path", Err: badError(s.Path, readings{bad: bad})}
	}
	names := map[string]bool{}
	for _, b := range bad {
		names[b.name] = true
	}
	for _, files := range []*[]imageFile{&train, &test} {
		*files = slices.DeleteFunc(slices.Clone(*files), func(f imageFile) bool { return names[f.name] })
	}
	// Whether all splits get images is told by labels without pixels.
	d := &Dataset{Classes: folder.classes, Test: labelsOf(test)}
	if d.Train, d.Valid, err = labelsOf(train).divide(s.ValidFraction, len(d.Classes), seed.New(1, "valid"), groupsOf(train, groups), &storage{}); err != nil {
		return err
	}
	return d.checkShares(*s)
}

// unreadableOf returns the files that cannot be read as pictures, of all or of as many as are looked at.
func unreadableOf(ctx context.Context, root string, files []imageFile) ([]badFile, error) {
	n := min(len(files), maxInspected)
	errs := make([]error, n)
	at := func(i int) int { return i * len(files) / n }
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			content, err := os.ReadFile(filepath.Join(root, files[at(i)].name))
			if err == nil {
				_, err = readSquare(content, framing{size: 1, center: 1, stored: true}, new(jpeg.Decoder))
			}
			errs[i] = err
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var bad []badFile
	for i, err := range errs {
		if err != nil {
			bad = append(bad, badFile{at(i), files[at(i)].name, err})
		}
	}
	return bad, nil
}

// badError says which pictures cannot be read, and what may be done.
func badError(path string, r readings) error {
	return fmt.Errorf("%s of %s cannot be read; mend or remove them, or leave them out by the setting on_bad: %s\n%w", count(len(r.bad), "picture"), path, OnBadSkip, r.err())
}

// ImageSize returns height and width of the images that networks are given, as far as settings tell: 0 where the files decide.
func (s *Settings) ImageSize() int {
	if s.Source == SourceIDX && s.Size == 0 {
		return 0
	}
	return s.size()
}

// SizeOf returns the size of the images of the data set stage among those that an input comes from; 0 where it is not known.
func SizeOf(stages []pipeline.Stage) int {
	for _, s := range stages {
		if d, ok := s.(*Settings); ok {
			return d.ImageSize()
		}
	}
	return 0
}

// CheckReduced returns an error when images of the size, 0 for one not known, cannot be reduced to what a setting says; 0 leaves them.
func CheckReduced(path string, to, size int) error {
	if size == 0 || to <= size {
		return nil
	}
	return &pipeline.SettingError{Path: path, Err: fmt.Errorf("%d pixels, but the data set has images of %dx%[2]d, which are only reduced: lower it, or raise the data set's size", to, size)}
}
