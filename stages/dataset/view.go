package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// View is what a network sees of a picture: a square in its center, brought to the size that the network takes.
type View struct {
	// Size is height and width of the image in pixels, from 1 to 1024.
	Size int `json:"size,omitempty"`
	// Center is the share of the center square's side that is shown, above 0 to 1.
	Center float64 `json:"center"`
	// Stored takes the pixels as they are stored; otherwise the picture is turned as the EXIF orientation of its camera says.
	Stored bool `json:"stored"`
}

// DefaultView shows the whole center square of a picture that stands upright.
func DefaultView(size int) View { return View{Size: size, Center: 1} }

// Check returns an error when there is no such view.
func (v View) Check() error {
	switch {
	case v.Size < 1 || v.Size > maxFolderSize:
		return fmt.Errorf("a size of %d pixels, want 1 to %d", v.Size, maxFolderSize)
	case !(v.Center > 0 && v.Center <= 1):
		return fmt.Errorf("%v of the center square's side, want above 0 and at most 1", v.Center)
	}
	return nil
}

// ReadPicture reads the picture of a file's content as one image [3, size, size] (red, green, blue) with label 0, by the same
// steps as the stage kind "dataset" reads a folder.
func ReadPicture(content []byte, v View) (*Images, error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	s, err := readSquare(content, framing{size: v.Size, center: v.Center, stored: v.Stored}, new(jpeg.Decoder))
	return s.image, err
}

// FormatNames returns the formats of pictures that are read, as a part of a sentence: "PNG, JPEG, GIF, WebP, BMP or TIFF".
func FormatNames() string { return formatNames() }

// ListPictures returns the paths of the pictures in a folder and the folders below it, sorted by name in each folder, as their
// suffixes tell. Hidden files and folders are left out, and folders that programs leave behind.
func ListPictures(ctx context.Context, root string) ([]string, error) {
	if root == "" {
		return nil, errors.New("no folder was named")
	}
	var out []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case path != root && hidden(e.Name()):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir() && path != root && leftBehind(e.Name()):
			return fs.SkipDir
		case isImage(e.Name()) && isFileOrLink(path, e):
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the pictures in %s: %w", root, err)
	}
	return slices.Clip(out), nil
}

// isFileOrLink tells whether the entry is a file or a link to one, or to nowhere, so that reading it says what is wrong.
func isFileOrLink(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type().IsRegular()
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}
