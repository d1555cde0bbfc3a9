package jpeg

import (
	"fmt"
	"image"
)

// Markers (T.81, table B.1).
const (
	markSOF0  = 0xC0 // sequential, baseline
	markSOF1  = 0xC1 // sequential, extended
	markSOF2  = 0xC2 // progressive
	markDHT   = 0xC4
	markDAC   = 0xCC
	markRST0  = 0xD0
	markRST7  = 0xD7
	markSOI   = 0xD8
	markEOI   = 0xD9
	markSOS   = 0xDA
	markDQT   = 0xDB
	markDRI   = 0xDD
	markAPP0  = 0xE0
	markAPP14 = 0xEE
)

// Size returns width and height of a JPEG in pixels, from its header alone.
func Size(content []byte) (width, height int, err error) {
	d := Decoder{content: content, codes: new([2][4]huffman)}
	if err := d.markers(true); err != nil {
		return 0, 0, fmt.Errorf("read the size of a JPEG: %w", err)
	}
	return d.width, d.height, nil
}

// Options say what Decode reads of a picture.
type Options struct {
	// Reduce is 1, 2, 4 or 8: by how much width and height are reduced. 0 means 1.
	Reduce int
	// Part is what is wanted of the picture, in pixels of its full size; an empty one means all of it.
	Part image.Rectangle
}

// Picture is what was read.
type Picture struct {
	// Bounds are the pixels that are there, in the coordinates of the reduced picture: those that show any of the part.
	Bounds image.Rectangle
	// Full is the whole reduced picture: width and height divided by the reduction, rounded up.
	Full image.Point
	// Pix holds the planes of red, green and blue, each row by row, with values of 0 to 255.
	Pix []uint8
}

// Decoder reads one picture after the other and uses its memory again. The zero value is ready. It must not be used by several
// goroutines at once.
type Decoder struct {
	content []byte
	at      int
	options Options

	width, height int
	progressive   bool
	components    []component
	hMax, vMax    int
	quantizers    [4][64]int32 // in zigzag order
	quantized     [4]bool
	codes         *[2][4]huffman // DC, AC
	restart       int            // MCUs between restart markers
	jfif, adobe   bool
	transform     uint8 // of Adobe's marker
	thrifty       bool  // leave out scans of coefficients that the reduction does not need
	skipped       bool  // one was left out up to the end of the file

	pix    []uint8
	memory [4]struct { // of the components
		plane        []uint8
		coefficients []int16
	}
}

// component is one of the planes of a picture.
type component struct {
	id, quantizer uint8
	h, v          int         // sampling factors
	nx, ny        int         // samples that a block becomes
	wide, high    int         // blocks that hold the picture
	stride        int         // blocks a line, with those that fill up the last MCU
	samples       image.Point // wide and high, without those that fill up the last block
	blocks        image.Rectangle
	plane         []uint8 // of blocks
	coefficients  []int16 // of all blocks, in progressive pictures
	need          int     // the last coefficient in zigzag order that the transform uses
	dc            int32
	codeDC,
	codeAC *huffman
	read bool // in a scan
	// left is by coefficient 1 more than the number of bits that scans have still to bring; 0 before any has brought one.
	left [64]uint8
}

// Decode reads a picture. The pixels are valid until the next call. The error is an *UnsupportedError for kinds of JPEG that are not
// read; any other says how the file is damaged.
func (d *Decoder) Decode(content []byte, o Options) (*Picture, error) {
	if o.Reduce == 0 {
		o.Reduce = 1
	}
	if o.Reduce != 1 && o.Reduce != 2 && o.Reduce != 4 && o.Reduce != 8 {
		return nil, fmt.Errorf("read a JPEG reduced by %d; want 1, 2, 4 or 8", o.Reduce)
	}
	p, err := d.decode(content, o, true)
	if d.skipped { // whether the file is whole is only known by reading it
		p, err = d.decode(content, o, false)
	}
	if err != nil {
		return nil, fmt.Errorf("read a JPEG: %w", err)
	}
	return p, nil
}

func (d *Decoder) decode(content []byte, o Options, thrifty bool) (*Picture, error) {
	*d = Decoder{content: content, options: o, thrifty: thrifty, pix: d.pix, memory: d.memory, codes: d.codes}
	if d.codes == nil {
		d.codes = new([2][4]huffman)
	}
	for i := range d.codes {
		for k := range d.codes[i] {
			d.codes[i][k].there = false
		}
	}
	if err := d.markers(false); err != nil {
		return nil, err
	}
	for i := range d.components {
		if c := &d.components[i]; !c.read {
			return nil, errShort
		} else if d.progressive {
			d.reconstruct(c)
		}
	}
	return d.picture(), nil
}

// markers reads the segments of the file, up to the header of the picture or to the end.
func (d *Decoder) markers(headerOnly bool) error {
	if len(d.content) < 2 || d.content[0] != 0xFF || d.content[1] != markSOI {
		return malformed("it does not begin as a JPEG does")
	}
	d.at = 2
	for {
		marker, ok := d.nextMarker()
		if !ok {
			if d.width == 0 || !d.complete() {
				return errShort
			}
			return nil // only the end marker is missing
		}
		switch {
		case marker == markEOI:
			if d.width == 0 {
				return malformed("it has no picture")
			}
			return nil
		case marker == markSOI || marker == 1 || marker >= markRST0 && marker <= markRST7:
			continue // has no length
		}
		segment, err := d.segment()
		if err != nil {
			if d.complete() {
				return nil // what follows the picture does not matter
			}
			return err
		}
		switch {
		case marker == markSOS:
			if d.width == 0 {
				return malformed("a scan comes before the header of the picture")
			}
			err = d.scan(segment)
		case marker == markDHT:
			err = d.defineCodes(segment)
		case marker == markDQT:
			err = d.defineQuantizers(segment)
		case marker == markDRI && len(segment) >= 2:
			d.restart = int(segment[0])<<8 | int(segment[1])
		case marker == markAPP0:
			d.jfif = d.jfif || len(segment) >= 5 && string(segment[:4]) == "JFIF"
		case marker == markAPP14:
			if len(segment) >= 12 && string(segment[:5]) == "Adobe" {
				d.adobe, d.transform = true, segment[11]
			}
		case marker == markDAC || marker >= 0xC9 && marker <= 0xCF:
			return &UnsupportedError{"arithmetic coding"}
		case marker == 0xC3:
			return &UnsupportedError{"lossless coding"}
		case marker >= 0xC5 && marker <= 0xC7:
			return &UnsupportedError{"hierarchical coding"}
		case marker == markSOF0 || marker == markSOF1 || marker == markSOF2:
			d.progressive = marker == markSOF2
			if err = d.header(segment); err == nil && headerOnly {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// complete tells whether the picture is all there.
func (d *Decoder) complete() bool {
	for i := range d.components {
		for _, left := range d.components[i].left {
			if left != 1 {
				return false
			}
		}
	}
	return d.width != 0
}

// nextMarker moves behind the next marker, past what does not belong there.
func (d *Decoder) nextMarker() (uint8, bool) {
	for ; d.at+1 < len(d.content); d.at++ {
		if c := d.content[d.at+1]; d.content[d.at] == 0xFF && c != 0 && c != 0xFF {
			d.at += 2
			return c, true
		}
	}
	d.at = len(d.content)
	return 0, false
}

// segment returns what follows a marker and its length.
func (d *Decoder) segment() ([]byte, error) {
	if d.at+2 > len(d.content) {
		return nil, errShort
	}
	n := int(d.content[d.at])<<8 | int(d.content[d.at+1])
	if n < 2 {
		return nil, malformed("a segment of %d bytes", n)
	}
	if d.at+n > len(d.content) {
		return nil, errShort
	}
	segment := d.content[d.at+2 : d.at+n]
	d.at += n
	return segment, nil
}

func (d *Decoder) defineQuantizers(s []byte) error {
	for len(s) > 0 {
		wide, to := s[0]>>4 != 0, s[0]&15
		size := 64
		if wide {
			size = 128
		}
		if to > 3 || s[0]>>4 > 1 || len(s) < 1+size {
			return malformed("a table of quantizers is cut off or out of range")
		}
		for k := range 64 {
			if wide {
				d.quantizers[to][k] = int32(s[1+2*k])<<8 | int32(s[2+2*k])
			} else {
				d.quantizers[to][k] = int32(s[1+k])
			}
		}
		d.quantized[to] = true
		s = s[1+size:]
	}
	return nil
}

func (d *Decoder) defineCodes(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return malformed("a table of codes is cut off")
		}
		class, to := s[0]>>4, s[0]&15
		var counts [17]int
		total := 0
		for i := 1; i <= 16; i++ {
			counts[i] = int(s[i])
			total += counts[i]
		}
		if class > 1 || to > 3 || total > 256 || len(s) < 17+total {
			return malformed("a table of codes is cut off or out of range")
		}
		if err := d.codes[class][to].define(&counts, s[17:17+total]); err != nil {
			return err
		}
		s = s[17+total:]
	}
	return nil
}

// header reads the header of the picture (T.81, B.2.2) and lays out the components.
func (d *Decoder) header(s []byte) error {
	if d.width != 0 {
		return malformed("it has two headers of a picture")
	}
	if len(s) < 6 || len(s) < 6+3*int(s[5]) {
		return malformed("the header of the picture is cut off")
	}
	if s[0] != 8 {
		return &UnsupportedError{fmt.Sprintf("%d bits a sample", s[0])}
	}
	height, width := int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	if height == 0 && width > 0 {
		return &UnsupportedError{"the height comes behind the picture"}
	}
	if width == 0 {
		return malformed("a picture without width")
	}
	count := int(s[5])
	if count != 1 && count != 3 && count != 4 {
		return &UnsupportedError{fmt.Sprintf("%d components", count)}
	}
	d.components = make([]component, count)
	d.hMax, d.vMax = 1, 1
	for i := range d.components {
		f := s[6+3*i:]
		c := &d.components[i]
		c.id, c.h, c.v, c.quantizer = f[0], int(f[1]>>4), int(f[1]&15), f[2]
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quantizer > 3 {
			return malformed("component %d has the sampling factors %d and %d and the quantizers %d", i, c.h, c.v, c.quantizer)
		}
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
	}
	if count == 1 { // one block an MCU whatever the factors say (T.81, A.2.2)
		d.components[0].h, d.components[0].v, d.hMax, d.vMax = 1, 1, 1, 1
	}
	d.width, d.height = width, height
	return nil
}

// layOut chooses how many samples the blocks become and which of them are wanted.
func (d *Decoder) layOut() {
	n := 8 / max(d.options.Reduce, 1)
	part := d.part()
	mcusWide, mcusHigh := ceil(d.width, 8*d.hMax), ceil(d.height, 8*d.vMax)
	for i := range d.components {
		c := &d.components[i]
		// A component that is sampled less often is reduced less, until it has as many samples as there are pixels.
		c.nx, c.ny = n, n
		for c.nx < 8 && c.nx*c.h < n*d.hMax {
			c.nx *= 2
		}
		for c.ny < 8 && c.ny*c.v < n*d.vMax {
			c.ny *= 2
		}
		c.wide, c.high = ceil(ceil(d.width*c.h, d.hMax), 8), ceil(ceil(d.height*c.v, d.vMax), 8)
		c.stride = mcusWide * c.h
		c.samples = image.Pt(ceil(d.width*c.h*c.nx, 8*d.hMax), ceil(d.height*c.v*c.ny, 8*d.vMax))
		x, y := d.ratio(c)
		left, right := x.blocks(part.Min.X, part.Max.X, c.nx, c.stride)
		top, bottom := y.blocks(part.Min.Y, part.Max.Y, c.ny, mcusHigh*c.v)
		c.blocks = image.Rect(left, top, right, bottom)
		m := &d.memory[i]
		m.plane = reuse(m.plane, c.blocks.Dx()*c.nx*c.blocks.Dy()*c.ny)
		c.plane = m.plane
		for k, at := range zigzag {
			if uses(c.nx, int(at)&7) && uses(c.ny, int(at)>>3) {
				c.need = k
			}
		}
		if d.progressive {
			m.coefficients = reuse(m.coefficients, 64*c.stride*mcusHigh*c.v)
			clear(m.coefficients)
			c.coefficients = m.coefficients
		}
	}
}

// part returns what is wanted, in the coordinates of the reduced picture.
func (d *Decoder) part() image.Rectangle {
	r := d.options.Reduce
	full := image.Rect(0, 0, d.width, d.height)
	p := d.options.Part.Intersect(full)
	if p.Empty() {
		p = full
	}
	return image.Rect(p.Min.X/r, p.Min.Y/r, ceil(p.Max.X, r), ceil(p.Max.Y, r))
}

func ceil(a, b int) int { return (a + b - 1) / b }

// reuse returns n values in the memory of s, if that is enough; they are not cleared.
func reuse[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n)
}

// zigzag has the place in a block of each coefficient in the order of a file (T.81, figure A.6).
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}
