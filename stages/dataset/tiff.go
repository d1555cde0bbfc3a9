package dataset

import (
	"bytes"
	"encoding/binary"
	"image"

	"golang.org/x/image/tiff"
)

// Tags and values of TIFF 6.0 that tell how the bits of a fax page look.
const (
	tiffCompression = 259
	tiffPhotometric = 262
	tiffGroup3      = 3
	tiffGroup4      = 4
	tiffBlackIsZero = 1
)

// decodeTIFF reads a TIFF picture, of several pages the first. The decoder takes the white of a fax code (CCITT Group 3 and 4) for white whatever the
// file says; with BlackIsZero, as libtiff and scanners' software write it, that is the negative.
func decodeTIFF(content []byte) (image.Image, error) {
	im, err := tiff.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	compression, photometric := tiffTag(content, tiffCompression), tiffTag(content, tiffPhotometric)
	if compression != tiffGroup3 && compression != tiffGroup4 || photometric != tiffBlackIsZero {
		return im, nil
	}
	box := im.Bounds()
	out := image.NewGray(image.Rect(0, 0, box.Dx(), box.Dy()))
	for y := range box.Dy() {
		for x := range box.Dx() {
			light, _, _, _ := im.At(box.Min.X+x, box.Min.Y+y).RGBA()
			out.Pix[y*out.Stride+x] = 255 - uint8(light>>8)
		}
	}
	return out, nil
}

// tiffTag returns the first number that a tag of the first page has, which is of the type SHORT or LONG; 0 when there is none.
func tiffTag(content []byte, tag uint16) uint32 {
	if len(content) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if content[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(content[4:]))
	if at+2 > int64(len(content)) {
		return 0
	}
	const entry, short = 12, 3
	rest := content[at+2:]
	for range order.Uint16(content[at:]) {
		if len(rest) < entry {
			return 0
		}
		if order.Uint16(rest) == tag {
			if order.Uint16(rest[2:]) == short {
				return uint32(order.Uint16(rest[8:]))
			}
			return order.Uint32(rest[8:])
		}
		rest = rest[entry:]
	}
	return 0
}
