package dataset

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitsAreReadWhole(t *testing.T) {
	idx := writeFolder(t, filepath.Join(t.TempDir(), "digits"), fakeIDX(6, 3, 4, 4))
	undivided, divided := filepath.Join(t.TempDir(), "flowers"), filepath.Join(t.TempDir(), "divided")
	putClass(t, 3, 10, undivided, "a")
	putClass(t, 1, 20, undivided, "b")
	for _, class := range []string{"a", "b"} {
		putClass(t, 4, 10, divided, "train", class)
		putClass(t, 2, 20, divided, "test", class)
	}
	cifar := writeFolder(t, filepath.Join(t.TempDir(), "c"), fakeCIFAR(cifar10(), 2))
	for name, c := range map[string]struct {
		o     SplitOptions
		split string
		count int
		size  int
	}{
		"test of IDX files":          {SplitOptions{Source: SourceIDX, Path: idx}, SplitTest, 3, 4},
		"training of IDX files":      {SplitOptions{Source: SourceIDX, Path: idx, Split: SplitTrain}, SplitTrain, 6, 4},
		"all of IDX files, enlarged": {SplitOptions{Source: SourceIDX, Path: idx, Split: SplitAll, Size: 6}, SplitAll, 9, 6},
		"limited":                    {SplitOptions{Source: SourceIDX, Path: idx, Split: SplitTrain, Limit: 4, Size: 2}, SplitTrain, 4, 2},
		"folder without splits":      {SplitOptions{Source: SourceFolder, Path: undivided, Size: 5}, SplitAll, 4, 5},
		"folder with splits":         {SplitOptions{Source: SourceFolder, Path: divided, Center: 0.5}, SplitTest, 4, 32},
		"folder, limited":            {SplitOptions{Source: SourceFolder, Path: divided, Split: SplitAll, Limit: 5}, SplitAll, 5, 32},
		"CIFAR-10":                   {SplitOptions{Source: SourceCIFAR10, Path: cifar}, SplitTest, 2, 32},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ReadSplit(context.Background(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if s.Split != c.split || s.Images.Count != c.count || s.Images.Height != c.size || s.Images.Width != c.size {
				t.Errorf("%s: %d images of %dx%d", s.Split, s.Images.Count, s.Images.Width, s.Images.Height)
			}
			if err := s.Images.check(len(s.Classes)); err != nil {
				t.Error(err)
			}
		})
	}
	// Test images are those of a document's stage.
	d, err := Make(context.Background(), idxSettings(idx), 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSplit(context.Background(), SplitOptions{Source: SourceIDX, Path: idx})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Test, s.Images) + cmp.Diff(d.Classes, s.Classes) + cmp.Diff("digits", s.Name); diff != "" {
		t.Error(diff)
	}
	for want, o := range map[string]SplitOptions{
		`no split "test": the folder has no folders train and test`: {Source: SourceFolder, Path: undivided, Split: SplitTest},
		`there is no split "valid"`:                                 {Source: SourceIDX, Path: idx, Split: "valid"},
		`the source "shapes" has no files`:                          {Source: SourceShapes, Path: idx},
		"neither t10k-images-idx3-ubyte nor":                        {Source: SourceIDX, Path: undivided},
		"these are shown whole":                                     {Source: SourceIDX, Path: idx, Center: 0.5},
		"size -1":                                                   {Source: SourceIDX, Path: idx, Size: -1},
	} {
		if _, err := ReadSplit(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
