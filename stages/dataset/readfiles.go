package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// maxBadFiles is how many files an error or a note names.
const maxBadFiles = 50

// framing is what is taken of a picture.
type framing struct {
	size   int     // height and width of the image in pixels
	center float64 // share of the center square's side that it shows
	stored bool    // as its pixels are stored, whatever the camera says of its orientation
}

// readings are what reading files has shown.
type readings struct {
	bad []badFile
	// deep is how many pictures have 16 bits a channel, brightest the largest value in them.
	deep, brightest int
}

// badFile is a file that cannot be read as a picture.
type badFile struct {
	index int // among the files
	name  string
	err   error
}

// add puts what other files have shown to the rest.
func (r *readings) add(other readings) {
	r.bad = append(r.bad, other.bad...)
	r.deep, r.brightest = r.deep+other.deep, max(r.brightest, other.brightest)
}

// err returns an error that names the files that could not be read, or nil.
func (r *readings) err() error {
	if len(r.bad) == 0 {
		return nil
	}
	var errs []error
	for _, b := range r.bad[:min(len(r.bad), maxBadFiles)] {
		errs = append(errs, fmt.Errorf("%s: %w", b.name, b.err))
	}
	if more := len(r.bad) - maxBadFiles; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// dim is the share of the range below which pictures of 16 bits are nearly black.
const dim = 1.0 / 16

// note says what is odd about the pictures, or "".
func (r *readings) note() string {
	if r.deep == 0 || float64(r.brightest) >= dim*(1<<16) {
		return ""
	}
	return fmt.Sprintf("the %d pictures with 16 bits a channel have no value above %d of 65535 and are read as nearly black, %d of 255 at most: "+
		"if the camera gives fewer bits, as with 10 or 12, have its values multiplied to fill the range when the files are written", r.deep, r.brightest, (r.brightest+128)/257)
}

// readPictures reads the files, in their order, as images of f.size x f.size pixels. Of those that cannot be read it says why; their images
// are black. The error is for all else, such as a disk that is full.
func readPictures(ctx context.Context, root string, files []imageFile, f framing, to *pixels) (readings, error) {
	errs, brightness := make([]error, len(files)), make([]int, len(files))
	to.images.Files = make([]string, len(files))
	decoders := make(chan *jpeg.Decoder, runtime.GOMAXPROCS(0))
	for range cap(decoders) {
		decoders <- new(jpeg.Decoder)
	}
	var group errgroup.Group
	group.SetLimit(cap(decoders))
	for i, file := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			to.images.Labels[i], to.images.Files[i] = int64(file.label), file.name
			d := <-decoders
			defer func() { decoders <- d }()
			var s square
			var content []byte
			if s, content, errs[i] = readPicture(filepath.Join(root, file.name), f, d); errs[i] != nil {
				return nil
			}
			brightness[i] = s.brightest + 1
			return to.put(i, s.image.Pixels, content)
		})
	}
	var out readings
	if err := group.Wait(); err != nil {
		return out, err
	}
	for i, err := range errs {
		if err != nil {
			out.bad = append(out.bad, badFile{i, files[i].name, err})
		}
		if brightness[i] > 0 {
			out.deep, out.brightest = out.deep+1, max(out.brightest, brightness[i]-1)
		}
	}
	return out, nil
}

func readPicture(path string, f framing, d *jpeg.Decoder) (s square, content []byte, err error) {
	if content, err = os.ReadFile(path); err != nil {
		return square{}, nil, err
	}
	s, err = readSquare(content, f, d)
	return s, content, err
}
