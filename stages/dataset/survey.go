package dataset

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// surveyed is how many pictures a survey opens to learn their size.
const surveyed = 200

// Folder is what a folder of images holds, as the stage kind "dataset" would read it.
type Folder struct {
	Classes []string // sorted
	Train   []int    // images of each class; all of them where the folder is not divided
	Test    []int    // images of each class in the folder test; nil where there is none
	Side    int      // the median short side of the pictures in pixels
	Note    string   // what is skipped; empty when nothing is
}

// Enough is the number of images that each class must have for the splits of the default test fraction and the given
// validation fraction.
func (f *Folder) Enough(validFraction float64) int {
	s := DefaultSettings()
	s.ValidFraction = validFraction
	return enoughImages(s)
}

// Survey looks at a folder of images without reading them: it lists names, and opens a few to learn their size.
func Survey(ctx context.Context, path string) (*Folder, error) {
	wrap := func(err error) error { return fmt.Errorf("look at the images in %s: %w", path, err) }
	listed, err := listFolder(ctx, path, defaultTestFolder)
	if err != nil {
		return nil, wrap(err)
	}
	out := &Folder{Classes: listed.classes, Note: listed.note()}
	out.Train = labelsOf(listed.train).ClassCounts(len(out.Classes))
	if listed.hasTest {
		out.Test = labelsOf(listed.test).ClassCounts(len(out.Classes))
	}
	files := slices.Concat(listed.train, listed.test)
	var sides []int
	var failed error
	for i := range min(surveyed, len(files)) {
		if err := ctx.Err(); err != nil {
			return nil, wrap(err)
		}
		side, err := shortSide(filepath.Join(path, files[i*len(files)/min(surveyed, len(files))].name))
		if err != nil {
			failed = err // the stage names every picture that cannot be read
			continue
		}
		sides = append(sides, side)
	}
	if len(sides) == 0 {
		return nil, wrap(fmt.Errorf("no picture could be read: %w", failed))
	}
	slices.Sort(sides)
	out.Side = sides[len(sides)/2]
	return out, nil
}

// headBytes is how much of a file is read to learn a picture's size. A JPEG may have a thumbnail and much else before it.
const headBytes = 1 << 18

// shortSide returns the smaller of width and height of a picture, from its header alone.
func shortSide(path string) (side int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close() //nolint:errcheck // only read from
	head, err := io.ReadAll(io.LimitReader(file, headBytes))
	if err != nil {
		return 0, err
	}
	_, width, height, err := pictureSize(head)
	if err != nil && len(head) == headBytes {
		rest, other := io.ReadAll(file) // as of a TIFF, which may have its description at the end
		if other != nil {
			return 0, other
		}
		_, width, height, err = pictureSize(append(head, rest...))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return min(width, height), nil
}
