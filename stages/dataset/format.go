package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// pictureFormat is a format that images of one's own may have.
type pictureFormat struct {
	name     string
	suffixes []string
	magic    func(content []byte) bool // of the first sniffed bytes
	size     func(content []byte) (width, height int, err error)
	// decode is nil for JPEG, of which only what is needed is read.
	decode func(content []byte) (image.Image, error)
}

// sniffed is how many bytes tell a format.
const sniffed = 12

// pictureFormats lists the formats, rather than to rely on what other packages have registered with image.Decode.
func pictureFormats() []pictureFormat {
	return []pictureFormat{
		{"PNG", []string{".png", ".apng"}, begins(pngMagic), sizeBy(png.DecodeConfig), decodePNG},
		{"JPEG", []string{".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"}, begins("\xff\xd8"), jpeg.Size, nil},
		{"GIF", []string{".gif"}, begins("GIF8"), sizeOfGIF, decodeGIF},
		{"WebP", []string{".webp"}, func(b []byte) bool { return begins("RIFF")(b) && bytes.HasPrefix(b[min(8, len(b)):], []byte("WEBP")) }, sizeOfWebP, decodeWebP},
		{"BMP", []string{".bmp", ".dib"}, begins("BM"), sizeBy(bmp.DecodeConfig), decodeBy(bmp.Decode)},
		{"TIFF", []string{".tif", ".tiff"}, func(b []byte) bool { return begins("II*\x00")(b) || begins("MM\x00*")(b) }, sizeBy(tiff.DecodeConfig), decodeTIFF},
	}
}

// formatNames names the formats for people.
func formatNames() string { return "PNG, JPEG, GIF, WebP, BMP or TIFF" }

func begins(magic string) func([]byte) bool {
	return func(content []byte) bool { return bytes.HasPrefix(content, []byte(magic)) }
}

func sizeBy(config func(io.Reader) (image.Config, error)) func([]byte) (int, int, error) {
	return func(content []byte) (int, int, error) {
		c, err := config(bytes.NewReader(content))
		return c.Width, c.Height, err
	}
}

func decodeBy(decode func(io.Reader) (image.Image, error)) func([]byte) (image.Image, error) {
	return func(content []byte) (image.Image, error) { return decode(bytes.NewReader(content)) }
}

// formatOf returns the format of a file by its first bytes, and whether it is one of pictures.
func formatOf(content []byte) (pictureFormat, bool) {
	for _, f := range pictureFormats() {
		if f.magic(content) {
			return f, true
		}
	}
	return pictureFormat{}, false
}

// isImage tells by its suffix whether a file is meant to be a picture. What it is, its first bytes tell.
func isImage(name string) bool {
	suffix := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(pictureFormats(), func(f pictureFormat) bool { return slices.Contains(f.suffixes, suffix) })
}

// isImageInside tells by its first bytes whether a file without a suffix is a picture. Other suffixes are left alone: raw pictures of
// cameras begin as TIFF does.
func isImageInside(path string) bool {
	if filepath.Ext(path) != "" {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // only read from
	head := make([]byte, sniffed)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	_, ok := formatOf(head[:n])
	return ok
}

// pictureSize returns width and height of the picture in a file, from its header.
func pictureSize(content []byte) (f pictureFormat, width, height int, err error) {
	f, ok := formatOf(content)
	switch {
	case len(content) == 0:
		return f, 0, 0, errors.New("the file is empty")
	case !ok:
		return f, 0, 0, fmt.Errorf("not a %s file", formatNames())
	}
	if width, height, err = f.size(content); err != nil {
		return f, 0, 0, unreadable(f, err)
	}
	if width < 1 || height < 1 || width > maxPixels/height {
		return f, 0, 0, fmt.Errorf("a picture of %dx%d pixels, want at least one and at most %d", width, height, maxPixels)
	}
	return f, width, height, nil
}

// unreadable says what is wrong with the file of a picture: it is damaged, or of a kind that is not read.
func unreadable(f pictureFormat, err error) error {
	var ofJPEG *jpeg.UnsupportedError
	var ofTIFF tiff.UnsupportedError
	var ofPNG png.UnsupportedError
	switch {
	case errors.As(err, &ofJPEG):
		return ofJPEG
	case errors.As(err, &ofTIFF), errors.As(err, &ofPNG), errors.Is(err, bmp.ErrUnsupported):
		return fmt.Errorf("this kind of %s is not supported (%w); convert it, for example to PNG of 8 bits", f.name, err)
	}
	return fmt.Errorf("damaged %s file: %w", f.name, err)
}
