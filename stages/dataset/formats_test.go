package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	pixel "image/color"
	"image/gif"
	stdjpeg "image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// Pictures of many formats have the pixels that Pillow reads of them, on white.
func TestReadsFormats(t *testing.T) {
	names, err := filepath.Glob("testdata/*.want.png")
	if err != nil || len(names) < 14 {
		t.Fatal(len(names), err)
	}
	for _, name := range names {
		name, _ = strings.CutSuffix(name, ".want.png")
		tolerance, average := 2.0, 0.5
		if strings.Contains(name, "lossy") || strings.Contains(name, "animated.webp") || strings.Contains(name, "alpha.webp") {
			tolerance, average = 24, 5 // chroma is sampled half as often and may be upsampled in several ways
		}
		want := pixelsOf(t, name+".want.png")
		got := pixelsOf(t, name)
		sum := 0.0
		for i := range want {
			d := float64(got[i]) - float64(want[i])
			sum += max(d, -d)
			if max(d, -d) > tolerance {
				t.Errorf("%s: value %d is %d, want %d", name, i, got[i], want[i])
				break
			}
		}
		if mean := sum / float64(len(want)); mean > average {
			t.Errorf("%s: values differ by %.2f on average", name, mean)
		}
	}
}

// pixelsOf returns the planes of the center square of a picture at its own size.
func pixelsOf(t *testing.T, name string) []uint8 {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, width, height, err := pictureSize(content)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	im, err := ReadPicture(content, View{Size: min(width, height), Center: 1})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return im.Pixels
}

func encodePNG(t *testing.T, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chunk returns a chunk of a PNG, with a right or wrong checksum.
func chunk(kind string, data []byte, right bool) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	sum := crc32.ChecksumIEEE(b[4:])
	if !right {
		sum++
	}
	return binary.BigEndian.AppendUint32(b, sum)
}

// What does not belong to the pixels of a PNG may be damaged, and its end may be missing; the pixels may not.
func TestPNGIsReadAsOthersDo(t *testing.T) {
	content := encodePNG(t, plain(8, 8, pixel.NRGBA{220, 20, 20, 255}))
	header, data := content[:33], content[33:len(content)-12]
	with := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	end := content[len(content)-12:]
	for name, file := range map[string][]byte{
		"wrong iCCP":        with(header, chunk("iCCP", []byte("x\x00\x00"), false), data, end),
		"wrong tEXt":        with(header, chunk("tEXt", []byte("Title\x00red"), false), data, end),
		"wrong gAMA":        with(header, chunk("gAMA", []byte{0, 0, 0xB1, 0x8F}, false), data, end),
		"wrong behind":      with(header, data, chunk("tIME", make([]byte, 7), false), end),
		"wrong tRNS":        with(header, chunk("tRNS", make([]byte, 6), false), data, end),
		"no end":            with(header, data),
		"half an end":       with(header, data, end[:5]),
		"wrong end":         with(header, data, end[:8], []byte{1, 2, 3, 4}),
		"something behind":  with(content, []byte("trailing")),
		"unknown, wrong":    with(header, chunk("qqQq", []byte("abc"), false), data, end),
		"long chunk behind": with(header, data, []byte{0x7f, 0xff, 0xff, 0xff, 't', 'E', 'X', 't', 1}),
	} {
		im, err := ReadPicture(file, View{Size: 8, Center: 1})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if im.Pixels[0] != 220 || im.Pixels[64] != 20 || im.Pixels[128] != 20 {
			t.Errorf("%s: %v", name, im.Pixels[:4])
		}
	}
	broken := slices.Clone(data)
	broken[len(broken)-1]++ // the checksum of the pixels
	for name, file := range map[string][]byte{
		"wrong pixels": with(header, broken, end), "half the pixels": with(header, data[:len(data)/2]), "no pixels": with(header, end),
	} {
		if _, err := ReadPicture(file, View{Size: 8, Center: 1}); err == nil || !strings.Contains(err.Error(), "damaged PNG file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A GIF shows its canvas: the first frame where it lies, white elsewhere.
func TestGIFHasACanvas(t *testing.T) {
	blue := image.NewPaletted(image.Rect(18, 18, 22, 22), pixel.Palette{pixel.NRGBA{0, 0, 255, 255}, pixel.White})
	encode := func(width, height int, frame *image.Paletted) []byte {
		var b bytes.Buffer
		err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: width, Height: height}})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	resized := func(content []byte, width, height uint16) []byte {
		b := slices.Clone(content)
		binary.LittleEndian.PutUint16(b[6:], width)
		binary.LittleEndian.PutUint16(b[8:], height)
		return b
	}
	corner := image.NewPaletted(image.Rect(0, 0, 8, 8), blue.Palette)
	beyond := image.NewPaletted(image.Rect(4, 4, 12, 12), blue.Palette)
	for name, c := range map[string]struct {
		content    []byte
		side, blue int
	}{
		"small frame":  {encode(40, 40, blue), 40, 16},
		"whole":        {encode(8, 8, corner), 8, 64},
		"no canvas":    {resized(encode(8, 8, corner), 0, 0), 8, 64},
		"small canvas": {resized(encode(12, 12, beyond), 8, 8), 12, 64},
	} {
		im, err := ReadPicture(c.content, View{Size: c.side, Center: 1})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plane, blues := c.side*c.side, 0
		for i := range plane {
			switch fmt.Sprint(im.Pixels[i], im.Pixels[plane+i], im.Pixels[2*plane+i]) {
			case "0 0 255":
				blues++
			case "255 255 255":
			default:
				t.Fatalf("%s: pixel %d is neither blue nor white", name, i)
			}
		}
		if blues != c.blue {
			t.Errorf("%s: %d of %d pixels are blue, want %d", name, blues, plane, c.blue)
		}
	}
	content := encode(40, 40, blue)
	for n := range len(content) - 4 {
		_, _ = ReadPicture(content[:n], View{Size: 4, Center: 1}) // no panic
	}
}

// A JPEG that is read at a smaller scale is what the whole picture is reduced by area.
func TestJPEGIsReducedByArea(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 201, 157))
	for y := range 157 {
		for x := range 201 {
			picture.SetGray(x, y, pixel.Gray{uint8(120 + 60*math.Sin(float64(x)/9)*math.Cos(float64(y)/11) + 40*math.Sin(float64(x*y)/900))})
		}
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, picture, &stdjpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	whole, err := decodePicture(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, center := range []float64{1, 0.875} {
		for _, size := range []int{3, 16, 17, 24, 32, 39, 64, 100, 157, 200} {
			got, err := ReadPicture(b.Bytes(), View{Size: size, Center: center})
			if err != nil {
				t.Fatal(err)
			}
			want, err := squarePicture(whole, center).resize(size)
			if err != nil {
				t.Fatal(err)
			}
			sum, most := 0, 0
			for i := range want.Pixels {
				d := int(want.Pixels[i]) - int(got.Pixels[i])
				sum, most = sum+max(d, -d), max(most, d, -d)
			}
			if mean := float64(sum) / float64(len(want.Pixels)); mean > 1.5 || size >= 79 && most > 0 {
				t.Errorf("%v of the side at %d: values differ by %.2f on average, at most by %d", center, size, mean, most)
			}
		}
	}
}

// The same parts of a picture weigh the same in either order of reducing.
func TestPartAgreesWithDownscale(t *testing.T) {
	im := newImages(1, 3, 24, 24)
	for i := range im.Pixels {
		im.Pixels[i] = uint8(i * i % 251)
	}
	for _, size := range []int{1, 5, 7, 12, 24} {
		want, err := im.Downscale(size, size)
		if err != nil {
			t.Fatal(err)
		}
		if got := im.part(0, 0, 24, 1, size); !slices.Equal(got.Pixels, want.Pixels) {
			t.Errorf("at size %d the part differs", size)
		}
		// Pixels of one value, however they are cut.
		flat := newImages(1, 3, 7, 7)
		for i := range flat.Pixels {
			flat.Pixels[i] = 77
		}
		for x0 := range 4 {
			for _, v := range flat.part(x0, 3-x0, 49-2*x0, 8, size).Pixels {
				if v != 77 {
					t.Fatalf("a part of a flat picture has the value %d", v)
				}
			}
		}
	}
}

// What a JPEG holds decides, not what its name ends in.
func TestJPEGByContent(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/0.jfif", "a/1.jpe", "a/2.JPEG", "a/3.png", "a/4", "b/0.pjpeg", "b/1.jif", "b/2.gif", "b/3"} {
		var b bytes.Buffer
		if err := stdjpeg.Encode(&b, plain(9, 9+len(name), pixel.NRGBA{uint8(len(name) * 5), 9, name[2], 255}), nil); err != nil {
			t.Fatal(err)
		}
		putFile(t, b.Bytes(), root, name)
	}
	putFile(t, []byte("nothing"), root, "b", "README")
	putFile(t, []byte("II*\x00 raw"), root, "b", "1.nef")
	f, err := listFolder(t.Context(), root, defaultTestFolder)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.train) != 9 || f.skipped.endings("b") != "1 .nef, 1 without an ending" {
		t.Errorf("%d images, skipped %q", len(f.train), f.skipped.endings("b"))
	}
	s := folderSettings(root)
	if d, err := Make(t.Context(), s, 1); err != nil || d.Train.Count+d.Valid.Count+d.Test.Count != 9 {
		t.Errorf("%v", err)
	}
}

// Kinds that are not read are called that, not damaged.
func TestUnsupportedIsNotDamaged(t *testing.T) {
	content, err := os.ReadFile("jpeg/testdata/sampling/arithmetic.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPicture(content, View{Size: 8, Center: 1}); err == nil || strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "convert it") {
		t.Errorf("%v", err)
	}
	if _, err := ReadPicture(content, View{}); err == nil || !strings.Contains(err.Error(), "want 1 to 1024") {
		t.Errorf("%v", err)
	}
}

// Pictures of 16 bits that use a small part of the range are read by the rule of PNG, and it is said.
func TestDimPicturesAreNoted(t *testing.T) {
	for _, c := range []struct {
		level uint16
		said  string
	}{{4000, "the 20 pictures with 16 bits a channel have no value above 4009 of 65535 and are read as nearly black, 16 of 255 at most"}, {40000, ""}} {
		root := t.TempDir()
		for i := range 20 {
			im := image.NewGray16(image.Rect(0, 0, 8, 8))
			for p := range 64 {
				im.SetGray16(p%8, p/8, pixel.Gray16{c.level - uint16(p) + uint16(i/2)})
			}
			putFile(t, encodePNG(t, im), root, []string{"cells", "empty"}[i%2], fmt.Sprint(i, ".png"))
		}
		var warned []string
		d, err := makeDataset(t.Context(), folderSettings(root), 1, listener{warn: func(s string) { warned = append(warned, s) }}, &storage{})
		if err != nil {
			t.Fatal(err)
		}
		if got := int(d.Train.Pixels[0]); got != int(c.level)/257 && got != int(c.level)/256 {
			t.Errorf("a value of about %d is read as %d", c.level, got)
		}
		if text := strings.Join(warned, "\n"); c.said == "" && strings.Contains(text, "16 bits") || !strings.Contains(text, c.said) {
			t.Errorf("said %q, want %q", warned, c.said)
		}
	}
}

// A file that is cut off or mixed up gives an error or a picture, whatever its format.
func TestDamagedFormatsAreErrors(t *testing.T) {
	names, err := filepath.Glob("testdata/*.want.png")
	if err != nil {
		t.Fatal(err)
	}
	d := new(jpeg.Decoder)
	for _, name := range names {
		name, _ = strings.CutSuffix(name, ".want.png")
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 60 {
			cut := content[:len(content)*n/60]
			_, _ = readSquare(cut, framing{size: 4, center: 1}, d)
			changed := slices.Clone(content)
			changed[len(content)*n/60] ^= 0x55
			if _, w, h, err := pictureSize(changed); err == nil && w*h < 1<<16 {
				_, _ = readSquare(changed, framing{size: 4, center: 1}, d)
			}
		}
	}
}
