package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// Encoded are pictures as their files have them, in the place of pixels: the photos of a large data set take a fraction of the room, and
// are decoded whenever they are needed. The values are those that pixels would have.
type Encoded struct {
	Contents [][]byte // of the files, by image
	View     View     // what is shown of each, at the size of the images
}

// pick returns the pictures with the given indices.
func (e *Encoded) pick(indices []int) *Encoded {
	return &Encoded{Contents: pickOf(e.Contents, indices), View: e.View}
}

// decode returns the values of picture i.
func (e *Encoded) decode(i int, d *jpeg.Decoder) ([]uint8, error) {
	s, err := readSquare(e.Contents[i], framing{size: e.View.Size, center: e.View.Center, stored: e.View.Stored}, d)
	if err != nil {
		return nil, fmt.Errorf("decode picture %d: %w", i, err)
	}
	return s.image.Pixels, nil
}

// Read returns the values of image i, Channels x Height x Width, plane by plane, which must not be changed. Those of pictures that are
// kept encoded are decoded, and an error says what is wrong with one.
func (im *Images) Read(i int) ([]uint8, error) { return im.read(i, nil) }

// read is Read with a decoder that is used again and again; nil makes one where it is needed.
func (im *Images) read(i int, d *jpeg.Decoder) ([]uint8, error) {
	if im.Encoded == nil {
		return im.at(i), nil
	}
	if d == nil {
		d = new(jpeg.Decoder)
	}
	return im.Encoded.decode(i, d)
}

// Decoded returns the images with their pixels in memory; they are the images themselves unless they are kept encoded.
func (im *Images) Decoded(ctx context.Context) (*Images, error) {
	if im.Encoded == nil {
		return im, nil
	}
	out := newImages(im.Count, im.Channels, im.Height, im.Width)
	out.Labels, out.Files, out.Groups = im.Labels, im.Files, im.Groups
	err := im.eachDecoded(ctx, func(i int, values []uint8) { copy(out.at(i), values) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachDecoded calls do with the values of each image, on several goroutines at once.
func (im *Images) eachDecoded(ctx context.Context, do func(i int, values []uint8)) error {
	const each = 64
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < im.Count; from += each {
		group.Go(func() error {
			d := new(jpeg.Decoder)
			for i := from; i < min(from+each, im.Count); i++ {
				values, err := im.read(i, d)
				if err != nil {
					return err
				}
				do(i, values)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// contents receives the contents of files, in any order.
type contents struct {
	list  [][]byte
	file  *os.File // nil in memory
	spans []extent // of each content in the file
	in    *storage
}

// extent is where a content lies in a file.
type extent struct{ begin, end int64 }

// contentsOf returns a place for the contents of files. Those that are too many for the memory go to a file in which each has its place by the size
// that it has now.
func (s *storage) contentsOf(name, root string, files []imageFile) (*contents, error) {
	c := &contents{list: make([][]byte, len(files)), spans: make([]extent, len(files)), in: s}
	total := int64(0)
	for i, f := range files {
		size := int64(0) // of one that cannot be read, which reading will say
		if info, err := os.Stat(filepath.Join(root, f.name)); err == nil {
			size = info.Size()
		}
		c.spans[i] = extent{total, total + size}
		total += size
	}
	if s.folder == "" || total < int64(s.limit) {
		return c, nil
	}
	var err error
	if c.file, err = os.OpenFile(filepath.Join(s.folder, name+".pictures"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644); err != nil {
		return nil, fmt.Errorf("keep pictures on the disk: %w", err)
	}
	return c, nil
}

// put stores a content. Several goroutines may call it for different files.
func (c *contents) put(i int, content []byte) error {
	if c.file == nil {
		c.list[i] = slices.Clone(content)
		return nil
	}
	span := c.spans[i]
	if size := span.end - span.begin; size != int64(len(content)) {
		return fmt.Errorf("a file has %d bytes and had %d when reading began; leave the folder as it is while it is read", len(content), size)
	}
	if _, err := c.file.WriteAt(content, span.begin); err != nil {
		return fmt.Errorf("keep pictures on the disk: %w", err)
	}
	return nil
}

// drop takes the contents with the given indices, ascending, out. Their bytes stay where they are in the file, which nobody reads.
func (c *contents) drop(indices []int) {
	kept := func(i int) bool { _, found := slices.BinarySearch(indices, i); return !found }
	list, spans := c.list[:0], c.spans[:0]
	for i := range c.spans {
		if kept(i) {
			list, spans = append(list, c.list[i]), append(spans, c.spans[i])
		}
	}
	c.list, c.spans = list, spans
}

// finish returns the contents, and removes the file: the mapping keeps what is in it.
func (c *contents) finish() (_ [][]byte, err error) {
	if c.file == nil {
		return c.list, nil
	}
	path, end := c.file.Name(), int64(0)
	for _, s := range c.spans {
		end = max(end, s.end)
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	if err := errors.Join(c.file.Truncate(end), c.file.Close()); err != nil {
		return nil, fmt.Errorf("keep pictures on the disk: %w", err)
	}
	b, unmap, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	c.in.mapped = append(c.in.mapped, mapping{b, unmap})
	for i := range c.list {
		s := c.spans[i]
		c.list[i] = b[s.begin:s.end:s.end]
	}
	return c.list, nil
}

// discard gives up what was stored.
func (c *contents) discard() error {
	if c.file == nil {
		return nil
	}
	return errors.Join(c.file.Close(), os.Remove(c.file.Name()))
}
