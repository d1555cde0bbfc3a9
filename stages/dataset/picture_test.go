package dataset

import (
	"errors"
	"fmt"
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

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// The center square of the short side is taken, and reduced exactly as Downscale does.
func TestPictureIsCroppedAndReduced(t *testing.T) {
	for _, size := range [][2]int{{9, 4}, {4, 9}, {8, 8}, {5, 4}} {
		width, height := size[0], size[1]
		picture := image.NewNRGBA(image.Rect(-3, 2, width-3, height+2)) // the origin may lie anywhere
		for y := range height {
			for x := range width {
				picture.SetNRGBA(x-3, y+2, pixel.NRGBA{uint8(x), uint8(y), uint8(10*x + y), 255})
			}
		}
		side := min(width, height)
		x0, y0 := (width-side)/2, (height-side)/2
		want := newImages(1, 3, side, side)
		for y := range side {
			for x := range side {
				want.Pixels[y*side+x] = uint8(x0 + x)
				want.Pixels[side*side+y*side+x] = uint8(y0 + y)
				want.Pixels[2*side*side+y*side+x] = uint8(10*(x0+x) + y0 + y)
			}
		}
		got := squarePicture(picture, 1)
		if !slices.Equal(got.Pixels, want.Pixels) {
			t.Errorf("%dx%d: pixels %v, want %v", width, height, got.Pixels, want.Pixels)
		}
		reduced, err := got.resize(3)
		if err != nil {
			t.Fatal(err)
		}
		if area, _ := want.Downscale(3, 3); !slices.Equal(reduced.Pixels, area.Pixels) {
			t.Errorf("%dx%d: reduced %v, want %v", width, height, reduced.Pixels, area.Pixels)
		}
	}
}

// What is transparent is white.
func TestPictureIsBlendedOntoWhite(t *testing.T) {
	for _, c := range []struct {
		ink  pixel.Color
		want [3]uint8
	}{
		{pixel.NRGBA{10, 20, 30, 255}, [3]uint8{10, 20, 30}},
		{pixel.NRGBA{10, 20, 30, 0}, [3]uint8{255, 255, 255}},
		{pixel.NRGBA{0, 0, 255, 102}, [3]uint8{153, 153, 255}}, // 102 of 255 is 0.4
	} {
		if got := squarePicture(plain(1, 1, c.ink), 1).Pixels; !slices.Equal(got, c.want[:]) {
			t.Errorf("%v became %v, want %v", c.ink, got, c.want)
		}
	}
}

// Every format gives the colors that were written, also in files with the suffix of another one.
func TestReadPicture(t *testing.T) {
	dir := t.TempDir()
	for _, ext := range []string{"png", "jpg", "gif"} {
		name := filepath.Join(dir, "x."+ext)
		putImage(t, plain(20, 10, pixel.NRGBA{255, 0, 0, 255}), name)
		other := filepath.Join(dir, ext+".png")
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		putFile(t, content, other)
		for _, file := range []string{name, other} {
			got, _, err := readPicture(file, framing{size: 2, center: 1}, new(jpeg.Decoder))
			if err != nil || len(got.image.Pixels) != 12 {
				t.Fatal(got, err)
			}
			for i, v := range got.image.Pixels {
				want := 0
				if i < 4 {
					want = 255
				}
				if d := int(v) - want; d < -2 || d > 2 { // JPEG is not exact
					t.Errorf("%s: value %d is %d, want %d", filepath.Base(file), i, v, want)
				}
			}
		}
	}
}

// A picture of a few bytes that claims to be huge is refused before memory is taken for it.
func TestPictureSizeIsBounded(t *testing.T) {
	content := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00;")
	_, err := ReadPicture(append(content[:13:13], 0x2C, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0), View{Size: 4, Center: 1})
	if err == nil || !strings.Contains(err.Error(), "65535x65535 pixels") {
		t.Errorf("error %v", err)
	}
}

// Enlarged images agree with bilinear interpolation in floating point to rounding.
func TestEnlargeIsBilinear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 6).Draw(t, "side")
		size := rapid.IntRange(side, 17).Draw(t, "size")
		im := imagesOf(t, 2, 3, side, side, 4)
		got := im.enlarge(size)
		if err := got.check(4); err != nil || !slices.Equal(got.Labels, im.Labels) {
			t.Fatal(err, got.Labels)
		}
		at := func(i int) (low, high int, share float64) {
			v := (float64(i)+0.5)*float64(side)/float64(size) - 0.5
			v = min(max(v, 0), float64(side-1))
			low = int(v)
			return low, min(low+1, side-1), v - float64(low)
		}
		for p := range 6 {
			for y := range size {
				for x := range size {
					y0, y1, fy := at(y)
					x0, x1, fx := at(x)
					old := func(y, x int) float64 { return float64(im.Pixels[p*side*side+y*side+x]) }
					want := (1-fy)*((1-fx)*old(y0, x0)+fx*old(y0, x1)) + fy*((1-fx)*old(y1, x0)+fx*old(y1, x1))
					if v := got.Pixels[p*size*size+y*size+x]; math.Abs(float64(v)-want) > 0.5+1e-9 {
						t.Fatalf("plane %d, pixel (%d, %d) is %d, want %v", p, x, y, v, want)
					}
				}
			}
		}
	})
	im := &Images{Count: 1, Channels: 1, Height: 2, Width: 2, Pixels: []uint8{0, 100, 100, 200}, Labels: []int64{0}}
	if got, want := im.enlarge(4).Pixels[:4], []uint8{0, 25, 75, 100}; !slices.Equal(got, want) {
		t.Errorf("first row %v, want %v", got, want)
	}
}

func TestReadPicturesCountsBadFiles(t *testing.T) {
	root := t.TempDir()
	var files []imageFile
	for i := range 53 {
		name := fmt.Sprintf("%02d.png", i)
		putFile(t, []byte("no picture"), root, name)
		files = append(files, imageFile{name: name})
	}
	place, err := new(storage).images("training", len(files), 4)
	if err != nil {
		t.Fatal(err)
	}
	found, err := readPictures(t.Context(), root, files, framing{size: 4, center: 1}, place)
	if err != nil {
		t.Fatal(err)
	}
	err = found.err()
	if err == nil || !strings.Contains(err.Error(), "00.png: not a") || !strings.Contains(err.Error(), "49.png") ||
		strings.Contains(err.Error(), "50.png") || !strings.HasSuffix(err.Error(), "and 3 more") {
		t.Errorf("error %v", err)
	}
}

// Whatever the bytes, a picture is decoded to as many values as are wanted, or there is an error.
func FuzzPicture(f *testing.F) {
	dir := f.TempDir()
	for _, ext := range []string{"png", "jpg", "gif"} {
		name := filepath.Join(dir, "x."+ext)
		file, err := os.Create(name)
		if err != nil {
			f.Fatal(err)
		}
		picture := plain(7, 5, pixel.NRGBA{200, 100, 50, 128})
		switch ext {
		case "png":
			err = png.Encode(file, picture)
		case "jpg":
			err = stdjpeg.Encode(file, picture, nil)
		default:
			err = gif.Encode(file, picture, nil)
		}
		if err := errors.Join(err, file.Close()); err != nil {
			f.Fatal(err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		// Large pictures are within the bounds, but take time.
		if _, width, height, err := pictureSize(content); err == nil && width*height > 1<<16 {
			t.Skip()
		}
		im, err := ReadPicture(content, View{Size: 4, Center: 0.875})
		if err != nil {
			return
		}
		if err := im.check(1); err != nil || len(im.Pixels) != 48 {
			t.Fatalf("%d values, %v", len(im.Pixels), err)
		}
	})
}
