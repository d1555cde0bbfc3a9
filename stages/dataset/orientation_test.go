package dataset

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	pixel "image/color"
	stdjpeg "image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// exif returns EXIF data that say nothing but the orientation, in either order of bytes.
func exif(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, o uint16) []byte {
	b := []byte("II")
	if order.Uint16([]byte{0, 1}) == 1 {
		b = []byte("MM")
	}
	b = order.AppendUint16(b, 42)
	b = order.AppendUint32(b, 8)      // where the directory is
	b = order.AppendUint16(b, 1)      // entries
	b = order.AppendUint16(b, 0x0112) // Orientation
	b = order.AppendUint16(b, 3)      // a short
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, o)
	b = order.AppendUint16(b, 0)
	return order.AppendUint32(b, 0) // no other directory
}

// withEXIF puts EXIF data behind the head of a JPEG file, or behind the first chunk of a PNG file.
func withEXIF(content, data []byte) []byte {
	if bytes.HasPrefix(content, []byte("\xff\xd8")) {
		segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+6+len(data)))
		segment = append(append(segment, "Exif\x00\x00"...), data...)
		return append(append(bytes.Clone(content[:2]), segment...), content[2:]...)
	}
	const head = 8 + 25 // the magic number and IHDR
	body := append([]byte("eXIf"), data...)
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(body))
	return append(append(bytes.Clone(content[:head]), chunk...), content[head:]...)
}

// Four quarters a, b over c, d, as they are stored, and how they look in each orientation of the EXIF standard, which says at
// which sides the first row and the first column belong.
func TestPicturesAreTurnedAsTheCameraSays(t *testing.T) {
	levels := map[byte]uint8{'a': 30, 'b': 90, 'c': 160, 'd': 230}
	stored := image.NewGray(image.Rect(0, 0, 32, 32))
	for y := range 32 {
		for x := range 32 {
			stored.SetGray(x, y, pixel.Gray{levels["abcd"[y/16*2+x/16]]})
		}
	}
	var asJPEG, asPNG bytes.Buffer
	if err := stdjpeg.Encode(&asJPEG, stored, &stdjpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&asPNG, stored); err != nil {
		t.Fatal(err)
	}
	looks := []string{1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac", 0: "abcd", 9: "abcd"} // the last two do not exist
	for o, look := range looks {
		for name, content := range map[string][]byte{
			"little-endian.jpg": withEXIF(asJPEG.Bytes(), exif(binary.LittleEndian, uint16(o))),
			"big-endian.jpg":    withEXIF(asJPEG.Bytes(), exif(binary.BigEndian, uint16(o))),
			"chunk.png":         withEXIF(asPNG.Bytes(), exif(binary.BigEndian, uint16(o))),
			"cut-short.jpg":     withEXIF(asJPEG.Bytes(), exif(binary.LittleEndian, uint16(o))[:12]),
		} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
			for _, ignored := range []bool{false, true} {
				want := look
				if ignored || name == "cut-short.jpg" {
					want = "abcd"
				}
				got, _, err := readPicture(path, framing{size: 2, center: 1, stored: ignored}, new(jpeg.Decoder))
				if err != nil {
					t.Fatal(err)
				}
				pixels := got.image.Pixels
				for i := range pixels { // three equal planes
					if d := int(pixels[i]) - int(levels[want[i%4]]); d < -3 || d > 3 {
						t.Errorf("orientation %d, %s, ignored %v: the quarters are %v, want those of %s", o, name, ignored, pixels[:4], want)
						break
					}
				}
			}
		}
	}
}
