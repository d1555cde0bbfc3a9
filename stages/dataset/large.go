package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/plateau-nas/plateau/exporter/safetensors"
)

// largeBytes is the size from which files of pixels are not read into memory but mapped into it, so that the system reads
// what is used and forgets it again. ImageNet has hundreds of times as much.
const largeBytes = 1 << 30

const (
	// spilledBytes is the size from which pixels that a stage reads are put into files of its scratch folder, and only mapped, so that the
	// memory does not grow with the number of pictures.
	spilledBytes = 64 << 20
	// stretchBytes is how much of mapped pixels is used before the memory is given back.
	stretchBytes = 8 << 20
)

// storage is where pixels are put that are too many for the memory. The zero value keeps all in memory.
type storage struct {
	folder string
	limit  int // bytes from which a file is used
	mapped []mapping
}

// mapping is a file in memory.
type mapping struct {
	content []byte
	unmap   func() error
}

// close frees the disk of what was stored; images from it must not be used any more.
func (s *storage) close() error {
	var errs []error
	for _, m := range s.mapped {
		errs = append(errs, m.unmap())
	}
	s.mapped = nil
	return errors.Join(errs...)
}

// forget gives back the memory of pixels that have been used, where they lie in a file, from which they are read when they are used again.
// Of other memory nothing is forgotten.
func (s *storage) forget(part []byte) {
	if s.holds(part) {
		forgetMapped(part)
	}
}

// holds tells whether all of the bytes lie in a file.
func (s *storage) holds(part []byte) bool {
	if len(part) == 0 {
		return false
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	for _, m := range s.mapped {
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(m.content))); from >= at && from+uintptr(len(part)) <= at+uintptr(len(m.content)) {
			return true
		}
	}
	return false
}

// pick is Images.pick that keeps in a file what is large and comes from one. name is as for images.
func (s *storage) pick(im *Images, indices []int, name string) (*Images, error) {
	if !s.holds(im.Pixels) {
		return im.pick(indices), nil
	}
	place, err := s.images(name, len(indices), im.Height)
	if err != nil {
		return nil, err
	}
	used := 0
	for to, from := range indices { // ascending
		if err := place.put(to, im.at(from), nil); err != nil {
			return nil, errors.Join(err, place.discard())
		}
		if end := from * im.Values(); end-used >= stretchBytes {
			s.forget(im.Pixels[used:end])
			used = end
		}
	}
	s.forget(im.Pixels[used:])
	im.describe(place.images, indices)
	return place.finish()
}

// pixels receives the values of images, or the files that they are decoded from, one after the other or at once.
type pixels struct {
	images   *Images
	file     *os.File // nil in memory
	in       *storage
	contents *contents // of images that are kept encoded; nil for pixels
	view     View      // of those
}

// encoded returns a place for images that are kept as the files that they are read from.
func (s *storage) encoded(name, root string, files []imageFile, v View) (*pixels, error) {
	c, err := s.contentsOf(name, root, files)
	if err != nil {
		return nil, err
	}
	return &pixels{images: &Images{Count: len(files), Channels: 3, Height: v.Size, Width: v.Size, Labels: make([]int64, len(files))}, contents: c, view: v, in: s}, nil
}

// images returns a place for the pixels of images. name is that of the file, if one is needed: always the same, so that what a
// killed run has left is overwritten.
func (s *storage) images(name string, count, size int) (*pixels, error) {
	if total := 3 * size * size * count; s.folder == "" || total < s.limit {
		return &pixels{images: newImages(count, 3, size, size)}, nil
	}
	file, err := os.OpenFile(filepath.Join(s.folder, name+".pixels"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("keep pixels on the disk: %w", err)
	}
	return &pixels{images: &Images{Count: count, Channels: 3, Height: size, Width: size, Labels: make([]int64, count)}, file: file, in: s}, nil
}

// put stores the values of image i, or the content of its file where that is what is kept. It may be called from several goroutines.
func (p *pixels) put(i int, values []uint8, content []byte) error {
	if p.contents != nil {
		return p.contents.put(i, content)
	}
	if p.file == nil {
		copy(p.images.at(i), values)
		return nil
	}
	if _, err := p.file.WriteAt(values, int64(i)*int64(len(values))); err != nil {
		return fmt.Errorf("keep pixels on the disk: %w", err)
	}
	return nil
}

// drop takes the images with the given indices, ascending, out of those that were put.
func (p *pixels) drop(indices []int) error {
	im, to, next := p.images, 0, 0
	values := make([]uint8, im.Values())
	for i := range im.Count {
		if next < len(indices) && indices[next] == i {
			next++
			continue
		}
		if to != i {
			im.Labels[to], im.Files[to] = im.Labels[i], im.Files[i]
			if p.contents != nil {
				// These are taken out below.
			} else if p.file == nil {
				copy(im.at(to), im.at(i))
			} else if _, err := p.file.ReadAt(values, int64(i)*int64(len(values))); err != nil {
				return fmt.Errorf("keep pixels on the disk: %w", err)
			} else if err := p.put(to, values, nil); err != nil {
				return err
			}
		}
		to++
	}
	im.Count, im.Labels, im.Files = to, im.Labels[:to], im.Files[:to]
	if p.contents != nil {
		p.contents.drop(indices)
		return nil
	}
	if p.file == nil {
		im.Pixels = im.Pixels[:to*len(values)]
		return nil
	}
	if err := p.file.Truncate(int64(to) * int64(len(values))); err != nil {
		return fmt.Errorf("keep pixels on the disk: %w", err)
	}
	return nil
}

// finish returns the images once all values are there, and removes the file: the mapping keeps the content.
func (p *pixels) finish() (_ *Images, err error) {
	if p.contents != nil {
		list, err := p.contents.finish()
		if err != nil {
			return nil, err
		}
		p.images.Encoded = &Encoded{Contents: list, View: p.view}
		return p.images, nil
	}
	if p.file == nil {
		return p.images, nil
	}
	path := p.file.Name()
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	if err := p.file.Close(); err != nil {
		return nil, err
	}
	b, unmap, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	p.images.Pixels, p.in.mapped = b, append(p.in.mapped, mapping{b, unmap})
	return p.images, nil
}

// discard gives up what was stored.
func (p *pixels) discard() error {
	if p.contents != nil {
		return p.contents.discard()
	}
	if p.file == nil {
		return nil
	}
	return errors.Join(p.file.Close(), os.Remove(p.file.Name()))
}

// open reads a file of tensors, mapped when it is larger than limit. The mapping stays until the process ends: it takes
// addresses, not memory, and parts of it may be in use in many places.
func open(path string, limit int64) (*safetensors.File, error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() < limit {
		return safetensors.Read(path) // which says what is wrong
	}
	b, _, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	f, err := safetensors.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}
