package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
)

// The first four bytes of files in the IDX format of http://yann.lecun.com/exdb/mnist/: two zeros, 8 for unsigned bytes, and
// the number of dimensions, whose sizes follow as big-endian 32-bit numbers, and then the values.
const (
	idxImages = 0x00000803 // count x rows x columns
	idxLabels = 0x00000801 // count
)

// maxIDXSide bounds the sides of an image, so that products of header fields cannot overflow.
const maxIDXSide = 1 << 12

// idxFile is one of the four files of a data set of the MNIST family.
type idxFile struct {
	stem string // MNIST's own name, without the .gz that it may have
	// another spelling of the name, as some copies have it
	other string
}

func idxNames(split string) (images, labels idxFile) {
	name := func(what, dims string) idxFile {
		return idxFile{split + "-" + what + "-" + dims + "-ubyte", split + "-" + what + "." + dims + "-ubyte"}
	}
	return name("images", "idx3"), name("labels", "idx1")
}

// The two splits of a data set of the MNIST family by the names of their files.
const (
	idxTrain = "train"
	idxTest  = "t10k"
)

// find returns the path of the file in the folder, packed or not.
func (f idxFile) find(folder string) (string, error) {
	for _, name := range []string{f.stem, f.other, f.stem + ".gz", f.other + ".gz"} {
		path := filepath.Join(folder, name)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("the folder holds neither %s nor %s.gz: %w", f.stem, f.stem, fs.ErrNotExist)
}

// open returns the unpacked content of the file in the folder.
func (f idxFile) open(ctx context.Context, folder string) (io.ReadCloser, error) {
	path, err := f.find(folder)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) != ".gz" {
		return struct {
			io.Reader
			io.Closer
		}{reader{ctx, file}, file}, nil
	}
	zipped, err := gzip.NewReader(reader{ctx, file})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is damaged or no .gz: %w", filepath.Base(path), err), file.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{zipped, file}, nil
}

// read returns the unpacked content of the file.
func (f idxFile) read(ctx context.Context, folder string) (content []byte, err error) {
	r, err := f.open(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if content, err = io.ReadAll(io.LimitReader(r, maxMember+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", f.stem, err)
	}
	if len(content) > maxMember {
		return nil, fmt.Errorf("%s has more than the %d bytes that are read of one file", f.stem, maxMember)
	}
	return content, nil
}

// idxHeader checks the header of a file and returns the sizes of its dimensions and its values.
func idxHeader(name string, b []byte, magic uint32, what string) (sizes []int, values []byte, err error) {
	dims := int(magic & 0xff)
	head := 4 + 4*dims
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%s has %d bytes: it is truncated or no IDX file", name, len(b))
	}
	switch got := binary.BigEndian.Uint32(b); {
	case got == magic:
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return nil, nil, fmt.Errorf("%s is packed with gzip: give it the ending .gz", name)
	case got == idxImages || got == idxLabels:
		return nil, nil, fmt.Errorf("%s begins with %#08x, want %#08x for %s: images and labels seem to have changed places", name, got, magic, what)
	default:
		return nil, nil, fmt.Errorf("%s begins with %#08x, want %#08x for %s as unsigned bytes: it is damaged or no IDX file of the MNIST family", name, got, magic, what)
	}
	if len(b) < head {
		return nil, nil, fmt.Errorf("%s has %d bytes, fewer than the %d of its header: it is truncated", name, len(b), head)
	}
	total := int64(1)
	for d := range dims {
		n := binary.BigEndian.Uint32(b[4+4*d:])
		// A bound for each dimension keeps the product within 64 bits.
		if limit := uint32(maxMember); n > limit || d > 0 && n > maxIDXSide {
			return nil, nil, fmt.Errorf("%s: a size of %d in dimension %d is out of range: the file is damaged", name, n, d)
		}
		sizes, total = append(sizes, int(n)), total*int64(n)
	}
	values = b[head:]
	if int64(len(values)) != total {
		state := "it is truncated"
		if int64(len(values)) > total {
			state = "something follows its end"
		}
		return nil, nil, fmt.Errorf("%s has %d bytes of %s, want %d by its header %v: %s", name, len(values), what, total, sizes, state)
	}
	return sizes, values, nil
}

// parseIDX makes images from the bytes of an image and a label file.
func parseIDX(imageName string, images []byte, labelName string, labels []byte) (*Images, error) {
	sizes, pixels, err := idxHeader(imageName, images, idxImages, "images")
	if err != nil {
		return nil, err
	}
	count, classes, err := idxHeader(labelName, labels, idxLabels, "labels")
	switch {
	case err != nil:
		return nil, err
	case count[0] != sizes[0]:
		return nil, fmt.Errorf("%s has %d labels for the %d images of %s: the files do not belong together", labelName, count[0], sizes[0], imageName)
	case sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0:
		return nil, fmt.Errorf("%s holds no pixels: %d images of %dx%d", imageName, sizes[0], sizes[2], sizes[1])
	}
	im := &Images{Count: sizes[0], Channels: 1, Height: sizes[1], Width: sizes[2], Pixels: pixels, Labels: make([]int64, sizes[0])}
	for i, c := range classes {
		im.Labels[i] = int64(c)
	}
	return im, nil
}

// readIDXSplit reads one of the two splits.
func readIDXSplit(ctx context.Context, folder, split string) (*Images, error) {
	a, b := idxNames(split)
	images, err := a.read(ctx, folder)
	if err != nil {
		return nil, err
	}
	labels, err := b.read(ctx, folder)
	if err != nil {
		return nil, err
	}
	return parseIDX(a.stem, images, b.stem, labels)
}

// readIDX reads a data set of the MNIST family. Its classes have no names but their numbers, of which the largest label
// tells how many there are.
func (d *Dataset) readIDX(ctx context.Context, s Settings, from uint64) error {
	wrong := func(err error) error { return idxError(s.Path, err) }
	train, err := readIDXSplit(ctx, s.Path, idxTrain)
	if err != nil {
		return wrong(err)
	}
	test, err := readIDXSplit(ctx, s.Path, idxTest)
	if err != nil {
		return wrong(err)
	}
	if train.Height != test.Height || train.Width != test.Width {
		return wrong(fmt.Errorf("training images of %dx%d and test images of %dx%d: the files do not belong together", train.Width, train.Height, test.Width, test.Height))
	}
	classes := max(slices.Max(train.Labels), slices.Max(test.Labels)) + 1
	for c := range classes {
		d.Classes = append(d.Classes, strconv.FormatInt(c, 10))
	}
	if classes < 2 {
		return wrong(errors.New("every label is 0: a classifier needs at least two classes"))
	}
	height, width := train.Height, train.Width
	if s.Size != 0 {
		if height, width = s.Size, s.Size; height > train.Height || width > train.Width {
			if train.Height != train.Width {
				return &pipeline.SettingError{Path: "size", Err: fmt.Errorf("%d pixels, but the images have %dx%d: only square images are enlarged", s.Size, train.Width, train.Height)}
			}
		}
	}
	d.Name = folderName(s.Path)
	d.Source = "IDX files"
	if err := d.reduce(ctx, s, from, train, test, func(im *Images) (*Images, error) {
		if height > im.Height {
			return im.enlarge(height), nil
		}
		return im.Downscale(height, width)
	}); err != nil {
		return err
	}
	if height != train.Height || width != train.Width {
		d.Source += fmt.Sprintf(", brought to %dx%d", width, height)
	}
	return nil
}

// reduce limits the images of both splits to the numbers in the settings, and then brings them to their size.
func (d *Dataset) reduce(ctx context.Context, s Settings, from uint64, train, test *Images, resize func(*Images) (*Images, error)) error {
	for _, part := range []struct {
		name  string
		count int
		from  *Images
		to    **Images
	}{{"training", s.TrainImages, train, &d.Train}, {"test", s.TestImages, test, &d.Test}} {
		im, note := part.from, ""
		if part.count > 0 && part.count < im.Count {
			note = fmt.Sprintf("%d of ", part.count)
			im = im.limit(part.count, len(d.Classes), seed.New(from, "limit", part.name))
		}
		d.Source += fmt.Sprintf(", %s%d %s images", note, part.from.Count, part.name)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reduce images: %w", err)
		}
		var err error
		if *part.to, err = resize(im); err != nil {
			return err
		}
	}
	return nil
}

// idxDigests returns the SHA-256 of the unpacked content of each file.
func idxDigests(ctx context.Context, folder string) (map[string]string, error) {
	sums := map[string]string{}
	for _, split := range []string{idxTrain, idxTest} {
		images, labels := idxNames(split)
		for _, f := range []idxFile{images, labels} {
			r, err := f.open(ctx, folder)
			if err != nil {
				return nil, idxError(folder, err)
			}
			h := sha256.New()
			_, err = io.Copy(h, io.LimitReader(r, maxMember+1))
			if err = errors.Join(err, r.Close()); err != nil {
				return nil, idxError(folder, fmt.Errorf("%s: %w", f.stem, err))
			}
			sums[f.stem] = fmt.Sprintf("sha256:%x", h.Sum(nil))
		}
	}
	return sums, nil
}

// idxError says that the setting path is to blame, and of files that are not there which ones are wanted.
func idxError(path string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = fmt.Errorf("read IDX files from %s: %w", path, err)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w. %s", err, noIDX())
	}
	return &pipeline.SettingError{Path: "path", Err: err}
}

func noIDX() string {
	trainImages, trainLabels := idxNames(idxTrain)
	testImages, testLabels := idxNames(idxTest)
	return fmt.Sprintf("source idx reads data sets in the format of MNIST: give the folder with %s, %s, %s and %s, each with .gz or without, as --set data.path=PATH (with data the stage's id)",
		trainImages.stem, trainLabels.stem, testImages.stem, testLabels.stem)
}
