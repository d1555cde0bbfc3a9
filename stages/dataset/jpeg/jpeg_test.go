package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	stdjpeg "image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readPNG returns the planes of a PNG.
func readPNG(t *testing.T, name string) (planes []uint8, width, height int) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return planesOf(im), im.Bounds().Dx(), im.Bounds().Dy()
}

func planesOf(im image.Image) []uint8 {
	width, height := im.Bounds().Dx(), im.Bounds().Dy()
	colors := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(colors, colors.Rect, im, im.Bounds().Min, draw.Src)
	planes := make([]uint8, 3*width*height)
	for i := range width * height {
		for c := range 3 {
			planes[c*width*height+i] = colors.Pix[4*i+c]
		}
	}
	return planes
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// difference returns the mean and the largest difference of values.
func difference(a, b []uint8) (mean float64, most int) {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		if d < 0 {
			d = -d
		}
		sum += d
		most = max(most, d)
	}
	return float64(sum) / float64(len(a)), most
}

// What libjpeg-turbo reads of the same files. It upsamples chroma by another filter where it is sampled half as often, and reduces chroma
// further, so there only gray and equal sampling are compared reduced.
func TestReadsAsLibjpeg(t *testing.T) {
	var d Decoder
	for _, name := range []string{"plain", "full", "half", "progressive", "progressive-full", "restart", "progressive-restart", "optimized", "gray", "gray-progressive", "rgb"} {
		content := readFile(t, name+".jpg")
		if width, height, err := Size(content); width != 75 || height != 53 || err != nil {
			t.Errorf("%s: size %dx%d, %v", name, width, height, err)
		}
		for _, by := range []int{1, 2, 4, 8} {
			want, width, height := readPNG(t, fmt.Sprintf("%s.%d.png", name, by))
			got, err := d.Decode(content, Options{Reduce: by})
			if err != nil {
				t.Errorf("%s reduced by %d: %v", name, by, err)
				continue
			}
			if got.Bounds != image.Rect(0, 0, width, height) || got.Full != image.Pt(width, height) {
				t.Errorf("%s reduced by %d: %v of %v, want %dx%d", name, by, got.Bounds, got.Full, width, height)
				continue
			}
			mean, most := difference(got.Pix, want)
			if by > 1 && name == "half" {
				continue
			}
			if mean > 0.3 || most > 8 {
				t.Errorf("%s reduced by %d: differs by %.2f, at most by %d", name, by, mean, most)
			}
		}
	}
}

// Reduced, a picture is what it is reduced by area. (Where chroma is sampled less often, its values between samples differ.)
func TestReducesByArea(t *testing.T) {
	var whole, less Decoder
	for _, name := range []string{"full", "progressive-full", "gray", "gray-progressive", "rgb", "mix"} {
		content := readFile(t, name+".jpg")
		w, err := whole.Decode(content, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range []int{2, 4, 8} {
			p, err := less.Decode(content, Options{Reduce: by})
			if err != nil {
				t.Fatal(err)
			}
			width, height := w.Full.X/by, w.Full.Y/by // the others lie partly beyond the picture
			sum, most := 0.0, 0.0
			for c := range 3 {
				for y := range height {
					for x := range width {
						total := 0
						for i := range by * by {
							total += int(w.Pix[(c*w.Full.Y+y*by+i/by)*w.Full.X+x*by+i%by])
						}
						d := math.Abs(float64(total)/float64(by*by) - float64(p.Pix[(c*p.Full.Y+y)*p.Full.X+x]))
						sum, most = sum+d, max(most, d)
					}
				}
			}
			mean := sum / float64(3*width*height)
			if mean > 0.6 || most > 3 {
				t.Errorf("%s reduced by %d: differs by %.2f, at most by %.1f", name, by, mean, most)
			}
		}
	}
}

// Samplings that the standard library refuses show the picture that they were made of.
func TestReadsAnySampling(t *testing.T) {
	want, width, height := readPNG(t, "sampling/reference.png")
	var d Decoder
	for _, name := range []string{"s_1x4", "s_2x2_1x1_1x2", "s_2x4", "s_3x1", "s_lumasmall"} {
		for _, by := range []int{1, 2, 4, 8} {
			got, err := d.Decode(readFile(t, "sampling/"+name+".jpg"), Options{Reduce: by})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if mean, _ := difference(got.Pix, reduced(want, width, height, by)); mean > 3 {
				t.Errorf("%s reduced by %d differs by %.2f from the picture that it was made of", name, by, mean)
			}
		}
	}
}

// reduced returns the mean of every by x by pixels.
func reduced(planes []uint8, width, height, by int) []uint8 {
	out := make([]uint8, 0, len(planes)/by/by)
	for plane := range 3 {
		for y := 0; y < height; y += by {
			for x := 0; x < width; x += by {
				sum := 0
				for i := range by * by {
					sum += int(planes[plane*width*height+(y+i/by)*width+x+i%by])
				}
				out = append(out, uint8((sum+by*by/2)/(by*by)))
			}
		}
	}
	return out
}

// Four components are read alike with Adobe's marker and without.
func TestReadsInk(t *testing.T) {
	var d Decoder
	for name, want := range map[string][3]int{"red": {255, 0, 0}, "adobe_red": {255, 0, 0}, "mix": {207, 119, 49}, "adobe_mix": {208, 119, 48}} {
		p, err := d.Decode(readFile(t, name+".jpg"), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		at, plane := 30*p.Full.X+30, p.Full.X*p.Full.Y
		for c := range 3 {
			if v := int(p.Pix[c*plane+at]); v < want[c]-1 || v > want[c]+1 {
				t.Errorf("%s: channel %d is %d, want %d", name, c, v, want[c])
			}
		}
	}
}

// An own picture of the standard library's encoder is read as its decoder does, whatever the size.
func TestReadsAsTheStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d Decoder
	for _, size := range []image.Point{{1, 1}, {7, 9}, {8, 8}, {16, 16}, {17, 31}, {100, 3}, {3, 100}, {64, 65}} {
		im := image.NewGray(image.Rectangle{Max: size})
		for i := range im.Pix {
			im.Pix[i] = uint8(rng.IntN(256))
		}
		var b bytes.Buffer
		if err := stdjpeg.Encode(&b, im, &stdjpeg.Options{Quality: 60}); err != nil {
			t.Fatal(err)
		}
		std, err := stdjpeg.Decode(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Decode(b.Bytes(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, most := difference(p.Pix, planesOf(std)); most > 1 || p.Full != size {
			t.Errorf("%v: read as %v, values differ by %d", size, p.Full, most)
		}
	}
}

// A part has the pixels that the whole has there.
func TestReadsParts(t *testing.T) {
	var whole, part Decoder
	for _, name := range []string{"plain", "full", "half", "progressive", "sampling/s_3x1", "sampling/s_1x4", "sampling/s_2x2_1x1_1x2", "mix"} {
		content := readFile(t, name+".jpg")
		for _, by := range []int{1, 2, 4, 8} {
			w, err := whole.Decode(content, Options{Reduce: by})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []image.Rectangle{image.Rect(11, 5, 43, 37), image.Rect(0, 0, 1, 1), image.Rect(40, 30, 900, 900), image.Rect(33, 0, 34, 53)} {
				p, err := part.Decode(content, Options{Reduce: by, Part: want})
				if err != nil {
					t.Fatal(err)
				}
				if p.Bounds.Min != want.Min.Div(by) || p.Full != w.Full {
					t.Errorf("%s reduced by %d: part %v at %v", name, by, want, p.Bounds)
				}
				for c := range 3 {
					for y := p.Bounds.Min.Y; y < p.Bounds.Max.Y; y++ {
						a := w.Pix[(c*w.Full.Y+y)*w.Full.X+p.Bounds.Min.X:][:p.Bounds.Dx()]
						b := p.Pix[(c*p.Bounds.Dy()+y-p.Bounds.Min.Y)*p.Bounds.Dx():][:p.Bounds.Dx()]
						if !bytes.Equal(a, b) {
							t.Fatalf("%s reduced by %d, part %v: line %d of channel %d differs from the whole", name, by, want, y, c)
						}
					}
				}
			}
		}
	}
}

// A file without its end marker, with something behind it, or with something between its parts is whole; one that is cut off is not.
func TestReadsWhatIsThere(t *testing.T) {
	var d Decoder
	for _, name := range []string{"plain", "progressive", "restart"} {
		content := readFile(t, name+".jpg")
		want, err := d.Decode(content, Options{})
		if err != nil {
			t.Fatal(err)
		}
		pixels := slices.Clone(want.Pix)
		behindSOI := slices.Concat(content[:2], []byte{0xFF, 0xFF, 0xFF}, content[2:])
		for what, other := range map[string][]byte{
			"no end marker": content[:len(content)-2], "something behind": slices.Concat(content, []byte("\xff\xd8\xff\xda trailing")),
			"fill bytes": behindSOI, "half an end marker": content[:len(content)-1],
		} {
			for _, by := range []int{1, 8} {
				p, err := d.Decode(other, Options{Reduce: by})
				if err != nil {
					t.Errorf("%s, %s, reduced by %d: %v", name, what, by, err)
				} else if by == 1 && !bytes.Equal(p.Pix, pixels) {
					t.Errorf("%s, %s: other pixels", name, what)
				}
			}
		}
		for _, by := range []int{1, 2, 8} {
			for n := 0; n < len(content)-8; n += 1 + by/2 {
				if _, err := d.Decode(content[:n], Options{Reduce: by}); err == nil {
					t.Fatalf("%s cut to %d of %d bytes was read, reduced by %d", name, n, len(content), by)
				}
			}
		}
	}
}

func TestRefusesWhatItDoesNotRead(t *testing.T) {
	var d Decoder
	var unsupported *UnsupportedError
	if _, err := d.Decode(readFile(t, "sampling/arithmetic.jpg"), Options{}); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "arithmetic coding; convert it") {
		t.Errorf("arithmetic coding: %v", err)
	}
	content := readFile(t, "plain.jpg")
	header := bytes.Index(content, []byte{0xFF, markSOF0})
	for name, c := range map[string]struct {
		change      func(b []byte)
		want        string
		unsupported bool
	}{
		"12 bits":         {func(b []byte) { b[header+4] = 12 }, "12 bits a sample", true},
		"lossless":        {func(b []byte) { b[header+1] = 0xC3 }, "lossless coding", true},
		"late height":     {func(b []byte) { b[header+5], b[header+6] = 0, 0 }, "the height comes behind", true},
		"no width":        {func(b []byte) { b[header+7], b[header+8] = 0, 0 }, "without width", false},
		"sampling 5":      {func(b []byte) { b[header+11] = 0x51 }, "sampling factors 5 and 1", false},
		"no beginning":    {func(b []byte) { b[0] = 0 }, "does not begin as a JPEG does", false},
		"wrong component": {func(b []byte) { b[header+10] = 77 }, "a scan of a component", false},
	} {
		b := slices.Clone(content)
		c.change(b)
		_, err := d.Decode(b, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &unsupported) != c.unsupported {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := d.Decode(content, Options{Reduce: 3}); err == nil {
		t.Error("reduced by 3")
	}
}

// Whatever is in a file, reading it ends, with a picture or an error.
func TestDamageIsNoPanic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var d Decoder
	for _, name := range []string{"plain", "progressive", "progressive-restart", "sampling/s_2x2_1x1_1x2", "mix"} {
		content := readFile(t, name+".jpg")
		for range 400 {
			b := slices.Clone(content)
			for range 1 + rng.IntN(6) {
				b[rng.IntN(len(b))] = uint8(rng.IntN(256))
			}
			if w, h, err := Size(b); err == nil && w*h > 1<<20 {
				continue // takes long
			}
			_, _ = d.Decode(b, Options{Reduce: 1 << rng.IntN(4)})
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"plain", "progressive", "mix"} {
		content, err := os.ReadFile(filepath.Join("testdata", name+".jpg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, uint8(2))
	}
	f.Fuzz(func(t *testing.T, content []byte, by uint8) {
		if w, h, err := Size(content); err != nil || w*h > 1<<18 {
			return
		}
		var d Decoder
		_, _ = d.Decode(content, Options{Reduce: 1 << (by & 3)})
	})
}

func BenchmarkDecode(b *testing.B) {
	content, err := os.ReadFile(filepath.Join("testdata", "plain.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprint("reduced by ", by), func(b *testing.B) {
			var d Decoder
			for b.Loop() {
				if _, err := d.Decode(content, Options{Reduce: by}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
