package dataset

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// decodePNG reads a PNG as other readers do: what does not belong to the pixels may be damaged, and the end may be missing.
func decodePNG(content []byte) (image.Image, error) {
	picture, err := png.Decode(bytes.NewReader(content))
	if err == nil {
		return picture, nil
	}
	repaired, ok := pixelChunks(content)
	if !ok {
		return nil, err
	}
	picture, other := png.Decode(bytes.NewReader(repaired))
	if other != nil {
		return nil, err
	}
	return picture, nil
}

// pixelChunks returns the file of a PNG with those chunks alone that its pixels need, and with an end. Chunks have four bytes of length,
// four of type, their data, and four of a checksum (PNG specification, section 5.3); those whose type begins with a small letter
// may be left out (5.4), and a reader does so when their checksum is wrong (13.2). Transparency is such a chunk too.
func pixelChunks(content []byte) ([]byte, bool) {
	const around = 12
	if !bytes.HasPrefix(content, []byte(pngMagic)) {
		return nil, false
	}
	out := []byte(pngMagic)
	for rest := content[len(pngMagic):]; ; {
		if len(rest) < around {
			break
		}
		length := int64(binary.BigEndian.Uint32(rest))
		if length > int64(len(rest)-around) {
			break
		}
		chunk := rest[:around+length]
		rest = rest[len(chunk):]
		kind := string(chunk[4:8])
		whole := crc32.ChecksumIEEE(chunk[4:8+length]) == binary.BigEndian.Uint32(chunk[8+length:])
		switch {
		case kind == "IEND":
			rest = nil
		case kind[0] >= 'A' && kind[0] <= 'Z', kind == "tRNS" && whole:
			out = append(out, chunk...)
		}
	}
	return append(out, "\x00\x00\x00\x00IEND\xaeB`\x82"...), true
}
