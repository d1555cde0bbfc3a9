package dataset

import (
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline/publicdata"
	decoder "github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// photos returns images of CIFAR-10 for tests, or skips.
func photos(t testing.TB) *Images {
	t.Helper()
	root := publicdata.Path(t, "cifar10-12k")
	im := newImages(0, 3, 32, 32)
	for _, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "test_batch.bin"} {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Skip(err)
		}
		for ; len(raw) > 0; raw = raw[1+3*32*32:] {
			im.Labels, im.Pixels = append(im.Labels, int64(raw[0])), append(im.Pixels, raw[1:1+3*32*32]...)
			im.Count++
		}
	}
	return im
}

// scene draws a picture that is like no other: blots of random place, size and color over a slope, in the same way at every size.
func scene(number uint64, side int) *image.NRGBA {
	rng := rand.New(rand.NewPCG(number, 7))
	type blot struct{ x, y, r, red, green, blue float64 }
	blots := make([]blot, 12)
	for i := range blots {
		blots[i] = blot{rng.Float64(), rng.Float64(), 0.08 + 0.2*rng.Float64(), 255 * rng.Float64(), 255 * rng.Float64(), 255 * rng.Float64()}
	}
	out := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		x, y := (float64(i%side)+0.5)/float64(side), (float64(i/side)+0.5)/float64(side)
		c := [3]float64{90 + 60*x, 110, 140 - 60*y}
		for _, b := range blots {
			if (x-b.x)*(x-b.x)+(y-b.y)*(y-b.y) < b.r*b.r {
				c = [3]float64{b.red, b.green, b.blue}
			}
		}
		out.Pix[4*i], out.Pix[4*i+1], out.Pix[4*i+2], out.Pix[4*i+3] = uint8(c[0]), uint8(c[1]), uint8(c[2]), 255
	}
	return out
}

// crops away the given share of the sides, more of it at one end.
func cropped(p *image.NRGBA, share float64) image.Image {
	side := p.Rect.Dx()
	cut := int(share * float64(side))
	at := image.Rect(cut/4, cut/2, cut/4+side-cut, cut/2+side-cut)
	out := image.NewNRGBA(image.Rect(0, 0, side-cut, side-cut))
	draw.Draw(out, out.Rect, p, at.Min, draw.Src)
	return out
}

func putJPEG(t *testing.T, p image.Image, quality int, path ...string) {
	t.Helper()
	var b strings.Builder
	if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	putFile(t, []byte(b.String()), path...)
}

// scenes writes pictures of two classes, of which some have near copies: every third another size, strongly compressed or cropped.
func scenes(t *testing.T, each int, path ...string) (root string, near int) {
	root = t.TempDir()
	for class, name := range []string{"a", "b"} {
		for i := range each {
			p := scene(uint64(1000*class+i), 96)
			in := append([]string{root}, append(path, name)...)
			put := func(p image.Image, quality int, suffix string) {
				putJPEG(t, p, quality, append(in, fmt.Sprintf("%02d%s.jpg", i, suffix))...)
			}
			put(p, 95, "")
			if i%3 == 0 {
				near += 2
				switch i / 3 % 3 {
				case 0:
					put(p, 30, "-again")
				case 1:
					put(scene(uint64(1000*class+i), 61), 80, "-small")
				case 2:
					put(cropped(p, 0.06), 85, "-part")
				}
			}
		}
	}
	return root, near
}

func TestNearCopiesStayTogether(t *testing.T) {
	root, near := scenes(t, 12)
	s := folderSettings(root)
	s.Size, s.TestFraction = 32, 0.3
	crossed := 0
	for from := range uint64(4) {
		for _, other := range []bool{false, true} { // the test shows another part of pictures
			s.TestCenter = map[bool]float64{true: 0.9, false: 1}[other]
			d, err := Make(t.Context(), s, from)
			if err != nil {
				t.Fatal(err)
			}
			if d.Near.Images != near || d.Near.Apart != 0 || total(d) != 24+near/2 || d.Check() != nil {
				t.Errorf("seed %d: %+v, %d images of which %d near", from, d.Near, total(d), near)
			}
			crossed += d.Near.Across
			split := map[string]string{}
			for _, part := range d.splits() {
				for i := range part.images.Count {
					file := part.images.Files[i]
					split[file] = part.name
					want := readAgain(t, filepath.Join(root, file), part.images.Height, map[bool]float64{true: s.TestCenter, false: 1}[part.name == "test"])
					if string(part.images.at(i)) != string(want) || file[:1] != d.Classes[part.images.Labels[i]] {
						t.Fatalf("seed %d: image %d of %s is not %s", from, i, part.name, file)
					}
					if i := part.images.Groups[i]; (i != 0) != (strings.Contains(file, "-") || split[file[:4]+".jpg"] != "" && near > 0 && strings.Contains("00 03 06 09", file[2:4])) {
						t.Errorf("seed %d: %s is in group %d", from, file, i)
					}
				}
			}
			for file, in := range split {
				if first, _, copied := strings.Cut(file, "-"); copied && split[first+".jpg"] != in {
					t.Errorf("seed %d: %s is in %s, what it was made of in %s", from, file, in, split[first+".jpg"])
				}
			}
			if least := min(d.Test.ClassCounts(2)[0], d.Test.ClassCounts(2)[1]); least < 3 {
				t.Errorf("seed %d: %d test images of a class", from, least)
			}
			again, err := Make(t.Context(), s, from)
			if err != nil || string(again.Test.Pixels) != string(d.Test.Pixels) {
				t.Errorf("seed %d: another division the second time, %v", from, err)
			}
		}
	}
	if crossed == 0 {
		t.Error("no seed put near copies apart at first")
	}
}

func readAgain(t *testing.T, path string, size int, center float64) []uint8 {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readSquare(content, framing{size, center, false}, new(decoder.Decoder))
	if err != nil {
		t.Fatal(err)
	}
	return p.image.Pixels
}

func TestNearCopiesAreSaid(t *testing.T) {
	root, near := scenes(t, 12)
	s := folderSettings(root)
	s.Size, s.TestFraction, s.NearCopies = 32, 0.3, NearReport
	d, said, _ := heard(t, s)
	if d.Near.Images != near || d.Near.Across == 0 || d.Near.Apart != d.Near.Across || !strings.Contains(said, "pictures are nearly the same as another, such as ") || !strings.Contains(said, "learned by heart") {
		t.Errorf("%+v, said %q", d.Near, said)
	}
	if p := d.Near.Pairs[0]; !p.Across || p.Alike < 0.95 || p.A[:4] != p.B[:4] {
		t.Errorf("first pair %+v", p)
	}
	path := filepath.Join(t.TempDir(), "d.safetensors")
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := Load(path)
	if err != nil || back.Near.Images != near || strings.Join(back.Test.Files, " ") != strings.Join(d.Test.Files, " ") || len(back.Train.Groups) != back.Train.Count {
		t.Errorf("read back %v", err)
	}
	s.NearCopies = NearIgnore
	if d, _, _ := heard(t, s); d.Near != nil {
		t.Errorf("%+v", d.Near)
	}
	s.NearCopies = "both"
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), `unknown value "both"`) {
		t.Error(err)
	}
}

// Where the folder has a test, training pictures that are nearly in it are left out.
func TestNearCopiesOfTheTestAreLeftOut(t *testing.T) {
	root, _ := scenes(t, 10, "train")
	for class, name := range []string{"a", "b"} {
		putJPEG(t, scene(uint64(1000*class+1), 70), 60, root, "test", name, "1.jpg")
		putJPEG(t, scene(uint64(1000*class+500), 70), 60, root, "test", name, "2.jpg")
	}
	s := folderSettings(root)
	s.Size = 32
	d, _, warned := heard(t, s)
	if d.Near.LeftOut != 2 || d.Test.Count != 4 || d.Train.Count+d.Valid.Count != 26 || !strings.Contains(warned, "left 2 training files out that are nearly the same as pictures of the test, such as train/a/01.jpg") {
		t.Errorf("%+v, %d and %d images, warned %q", d.Near, d.Train.Count+d.Valid.Count, d.Test.Count, warned)
	}
}

// A class that hangs together as a whole, as frames of a film do, stays on both sides, and that is said.
func TestNearCopiesOfAWholeClass(t *testing.T) {
	root := t.TempDir()
	for i := range 10 {
		putJPEG(t, scene(1, 90+i), 90, root, "film", fmt.Sprintf("%d.jpg", i))
		putJPEG(t, scene(uint64(10+i), 90), 90, root, "other", fmt.Sprintf("%d.jpg", i))
	}
	s := folderSettings(root)
	s.Size = 32
	d, _, warned := heard(t, s)
	if d.Near.Images != 10 || d.Near.Apart == 0 || !strings.Contains(warned, `near copies of class "film" stay on both sides`) {
		t.Errorf("%+v, warned %q", d.Near, warned)
	}
}

// What looks alike in real photos is of one class, and copies of them that were changed are found.
func TestNearCopiesAmongPhotos(t *testing.T) {
	im := photos(t)
	start := time.Now()
	pairs, err := nearPairs(t.Context(), nearImages{im, 1, nil})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pairs among %d images in %v", len(pairs), im.Count, time.Since(start))
	for _, p := range pairs {
		if im.Labels[p.a] != im.Labels[p.b] {
			t.Errorf("images %d and %d of classes %d and %d correlate by %.3f", p.a, p.b, im.Labels[p.a], im.Labels[p.b], p.alike)
		}
	}
	if len(pairs) < 3 || len(pairs) > im.Count/100 {
		t.Errorf("%d pairs", len(pairs))
	}
	// Each of 100 images beside what is left of it when two rows and columns are cut away: 6% of the sides.
	const n = 100
	both := newImages(2*n, 3, 32, 32)
	for i := range n {
		copy(both.at(i), im.at(7*i))
		part := newImages(1, 3, 30, 30)
		for c := range 3 {
			for y := range 30 {
				copy(part.at(0)[(c*30+y)*30:][:30], im.at(7 * i)[(c*32+y+i%3)*32+i/3%3:])
			}
		}
		whole, err := part.resize(32)
		if err != nil {
			t.Fatal(err)
		}
		copy(both.at(n+i), whole.at(0))
	}
	if pairs, err = nearPairs(t.Context(), nearImages{both, 1, nil}); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range pairs {
		if p.b == p.a+n {
			found++
		}
	}
	if found < 90 {
		t.Errorf("%d of %d cropped copies are found", found, n)
	}
}
