package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	pixel "image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
)

// plain returns a picture of one color.
func plain(width, height int, c pixel.Color) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			im.Set(x, y, c)
		}
	}
	return im
}

// putImage writes a picture in the format of the name's suffix, and the folders above it.
func putImage(t *testing.T, im image.Image, names ...string) {
	t.Helper()
	var b bytes.Buffer
	name := filepath.Join(names...)
	var err error
	switch filepath.Ext(name) {
	case ".jpg":
		err = jpeg.Encode(&b, im, nil)
	case ".gif":
		err = gif.Encode(&b, im, nil)
	default:
		err = png.Encode(&b, im)
	}
	if err != nil {
		t.Fatal(err)
	}
	putFile(t, b.Bytes(), name)
}

func putFile(t *testing.T, content []byte, names ...string) {
	t.Helper()
	name := filepath.Join(names...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// putClass writes count pictures of a class into dir. The red of each tells it from all others of the class, the green is
// as given.
func putClass(t *testing.T, count int, green uint8, dir ...string) {
	t.Helper()
	for i := range count {
		putImage(t, plain(5+i%3, 6, pixel.NRGBA{R: uint8(i), G: green, A: 255}), filepath.Join(dir...), fmt.Sprintf("%03d.png", i))
	}
}

func folderSettings(path string) Settings {
	s := DefaultSettings()
	s.Source, s.Path, s.Size, s.ValidFraction = SourceFolder, path, 4, 0.25
	return s
}

// sharesOf returns the counts by class of each split and the red and green of every image.
func sharesOf(d *Dataset) (counts [][]int, pictures [][2]uint8) {
	for _, part := range d.splits() {
		counts = append(counts, part.images.ClassCounts(len(d.Classes)))
		for i := range part.images.Count {
			v := part.images.at(i)
			pictures = append(pictures, [2]uint8{v[0], v[16]})
		}
	}
	return counts, pictures
}

// Without folders train and test a share of each class becomes the test split.
func TestFolderDividesClasses(t *testing.T) {
	root := t.TempDir()
	putClass(t, 20, 200, root, "dog")
	putClass(t, 35, 100, root, "cat", "indoors") // images may lie deeper
	putClass(t, 5, 30, root, "Bird")
	putFile(t, []byte("x"), root, "cat", ".DS_Store")
	putFile(t, []byte("x"), root, "cat", "notes.txt")
	putFile(t, []byte("x"), root, ".git", "1.png")
	putFile(t, []byte("x"), root, "README.md")

	s := folderSettings(root)
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Bird", "cat", "dog"}; !slices.Equal(d.Classes, want) {
		t.Errorf("classes %q, want %q", d.Classes, want)
	}
	counts, pictures := sharesOf(d)
	if got, want := fmt.Sprint(counts), "[[3 21 12] [1 7 4] [1 7 4]]"; got != want {
		t.Errorf("images by split and class %s, want %s", got, want)
	}
	slices.SortFunc(pictures, func(a, b [2]uint8) int { return bytes.Compare(a[:], b[:]) })
	if n := len(slices.Compact(pictures)); n != 60 {
		t.Errorf("%d different pictures, want each of the 60 once", n)
	}
	green := []uint8{30, 100, 200}
	for _, part := range d.splits() {
		for i, l := range part.images.Labels {
			if g := part.images.at(i)[16]; g != green[l] {
				t.Errorf("%s split: image %d of class %d has green %d, want %d", part.name, i, l, g, green[l])
			}
		}
		if slices.IsSorted(part.images.Labels) {
			t.Errorf("%s split: the images come class by class, so that a batch lacks classes", part.name)
		}
	}
	if want := "images in one folder a class, the center square at 4x4, 48 training images, 12 test images"; d.Source != want {
		t.Errorf("source %q, want %q", d.Source, want)
	}

	_, said := runStage(t, s, 1)
	const want = "left out 1 folder that programs leave behind or hide, with 1 file in them: 1 .git; " +
		"skipped 3 files that are no PNG, JPEG, GIF, WebP, BMP or TIFF images (outside of classes: 1 .md; cat: 1 .txt, 1 hidden)"
	if said[0].Message != want {
		t.Errorf("the stage said %q, want %q", said[0].Message, want)
	}
}

func TestFolderWithTest(t *testing.T) {
	root := t.TempDir()
	for green, class := range []string{"a", "b"} {
		putClass(t, 8, uint8(green), root, "train", class)
		putClass(t, 3+green, uint8(100+green), root, "test", class)
		putClass(t, 1, 50, root, "val", class)
	}
	s := folderSettings(root)
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if counts, _ := sharesOf(d); fmt.Sprint(counts) != "[[6 6] [2 2] [3 4]]" {
		t.Errorf("images by split and class %v", counts)
	}
	for i := range d.Test.Count {
		if g := d.Test.at(i)[16]; g < 100 {
			t.Errorf("image %d of the test split is from train", i)
		}
	}
	sums, err := s.Fingerprint(t.Context())
	if err != nil || len(sums) != 4 || !strings.HasPrefix(sums["test/b"], "sha256:") {
		t.Errorf("fingerprint %v, %v", sums, err)
	}

	s.TrainImages, s.TestImages = 9, 2
	if d, err = Make(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	if counts, _ := sharesOf(d); fmt.Sprint(counts) != "[[4 3] [1 1] [1 1]]" {
		t.Errorf("with limits, images by split and class %v", counts)
	}
	if !strings.HasSuffix(d.Source, ", 9 of 16 training images, 2 of 7 test images") {
		t.Errorf("source %q", d.Source)
	}
}

// A folder train that holds images itself is a class.
func TestFolderOfTrains(t *testing.T) {
	root := t.TempDir()
	putClass(t, 10, 1, root, "train")
	putClass(t, 10, 2, root, "plane")
	d, err := Make(t.Context(), folderSettings(root), 1)
	if err != nil || !slices.Equal(d.Classes, []string{"plane", "train"}) {
		t.Errorf("%v, %v", d, err)
	}
}

// A folder of the same name with the same images and seed gives the same bytes wherever it lies, another seed gives others.
func TestFolderIsDeterministic(t *testing.T) {
	var files [][]byte
	var sums []string
	for _, from := range []uint64{1, 1, 2} {
		root := filepath.Join(t.TempDir(), "pets")
		putClass(t, 12, 1, root, "a")
		putClass(t, 12, 2, root, "b")
		s := folderSettings(root)
		file, _ := runStage(t, s, from)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := s.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		files, sums = append(files, content), append(sums, fmt.Sprint(facts))
	}
	if !bytes.Equal(files[0], files[1]) || bytes.Equal(files[0], files[2]) {
		t.Error("bytes do not depend on the images and the seed alone")
	}
	if sums[0] != sums[1] || sums[0] != sums[2] {
		t.Errorf("fingerprints %q of the same images", sums)
	}
}

func TestFolderFingerprint(t *testing.T) {
	root := t.TempDir()
	putClass(t, 3, 1, root, "a")
	putClass(t, 3, 2, root, "b")
	s := folderSettings(root)
	facts := func() map[string]string {
		t.Helper()
		f, err := s.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	before := facts()
	putFile(t, []byte("x"), root, "a", "notes.txt") // not read
	if after := facts(); before["a"] != after["a"] || before["b"] != after["b"] {
		t.Error("a file that is not read changed the fingerprint")
	}
	if err := os.Rename(filepath.Join(root, "a", "000.png"), filepath.Join(root, "a", "009.png")); err != nil {
		t.Fatal(err)
	}
	renamed := facts()
	if before["a"] == renamed["a"] || before["b"] != renamed["b"] {
		t.Error("a renamed image of class a did not change the digest of a alone")
	}
	putImage(t, plain(1, 1, pixel.Black), root, "b", "000.png")
	if after := facts(); renamed["a"] != after["a"] || renamed["b"] == after["b"] {
		t.Error("a changed image of class b did not change the digest of b alone")
	}
}

func TestFolderErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		wants []string
		build func(t *testing.T, root string)
	}{
		{"no folder", []string{"no such file or directory", "put the PNG, JPEG, GIF, WebP, BMP or TIFF images of each class into a folder", "--set data.path=PATH"}, func(t *testing.T, root string) {
			if err := os.Remove(root); err != nil {
				t.Fatal(err)
			}
		}},
		{"no classes", []string{"holds no folders", "one folder a class"}, func(t *testing.T, root string) { putImage(t, plain(1, 1, pixel.White), root, "1.png") }},
		{"one class", []string{`holds one class only, "a"`}, func(t *testing.T, root string) { putClass(t, 9, 1, root, "a") }},
		{"empty class", []string{"the folder b of a class holds no PNG, JPEG, GIF, WebP, BMP or TIFF images but files of other kinds: 1 .heic"}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "a")
			putFile(t, nil, root, "b", "x.heic")
		}},
		{"small class", []string{`the class "b" has 2 images`, "none for the ", "6 a class are enough"}, func(t *testing.T, root string) {
			putClass(t, 20, 1, root, "a")
			putClass(t, 2, 1, root, "b")
		}},
		{"train without test", []string{"the folder train looks like a split", "have the two folders train and test"}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "train", "a")
			putClass(t, 9, 1, root, "val", "a")
		}},
		{"splits of other names", []string{"the folder Test looks like a split"}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "Train", "a")
			putClass(t, 9, 1, root, "Train", "b")
			putClass(t, 9, 1, root, "Test", "a")
			putClass(t, 9, 1, root, "Test", "b")
		}},
		{"class without test", []string{`the class "b" has a folder in train and none in test`}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "train", "a")
			putClass(t, 9, 1, root, "train", "b")
			putClass(t, 9, 1, root, "test", "a")
		}},
		{"class without training", []string{`the class "b" has a folder in test and none in train`}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "train", "a")
			putClass(t, 9, 1, root, "test", "a")
			putClass(t, 9, 1, root, "test", "b")
		}},
		{"damaged images", []string{"b/1.png: damaged PNG file", "b/2.jpg: the file is empty", "b/3.gif: not a PNG, JPEG, GIF, WebP, BMP or TIFF file"}, func(t *testing.T, root string) {
			putClass(t, 9, 1, root, "train", "a")
			putClass(t, 9, 1, root, "train", "b")
			putClass(t, 1, 1, root, "test", "a")
			putFile(t, []byte("\x89PNG\r\n\x1a\nxxxx"), root, "test", "b", "1.png")
			putFile(t, nil, root, "test", "b", "2.jpg")
			putFile(t, []byte("<html>Forbidden</html>"), root, "test", "b", "3.gif")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			c.build(t, root)
			_, err := Make(t.Context(), folderSettings(root), 1)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q", err, want)
				}
			}
			if strings.Contains(c.name, "image") {
				return
			}
			var setting *pipeline.SettingError
			if !errors.As(err, &setting) || setting.Path != "path" {
				t.Errorf("the error %v does not blame the path", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		root := t.TempDir()
		putClass(t, 9, 1, root, "a")
		putClass(t, 9, 1, root, "b")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Make(ctx, folderSettings(root), 1); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestFolderName(t *testing.T) {
	for path, want := range map[string]string{"pets": "pets", "/data/pets/": "pets", "../pets/.": "pets", ".": "images", "../..": "images", "/": "images"} {
		if got := folderName(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}

func TestFolderFollowsLinks(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	putClass(t, 9, 1, other, "images")
	putClass(t, 9, 1, root, "a")
	if err := os.Symlink(filepath.Join(other, "images"), filepath.Join(root, "b")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(root, filepath.Join(root, "a", "loop")); err != nil {
		t.Fatal(err)
	}
	f, err := listFolder(t.Context(), root, defaultTestFolder)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.classes) != 2 || len(f.train) != 18 || !slices.Equal(f.skipped.links, []string{"a/loop"}) {
		t.Errorf("%d classes, %d images, skipped %q", len(f.classes), len(f.train), f.skipped.links)
	}
}

// Training images may be kept larger than those of the test, which may show less of the picture and lie in a folder of
// another name, as in ImageNet.
func TestFolderAsImageNet(t *testing.T) {
	root := t.TempDir()
	for i, class := range []string{"n01440764", "n01443537"} {
		putClass(t, 4, uint8(10+i), root, "train", class)
		// A frame of one color around another: the center shows none of it.
		framed := plain(16, 20, pixel.NRGBA{R: 255, A: 255}).(draw.Image)
		draw.Draw(framed, image.Rect(2, 2, 14, 18), plain(12, 16, pixel.NRGBA{B: 255, A: 255}), image.Point{}, draw.Src)
		putImage(t, framed, root, "val", class, "1.png")
	}
	s := folderSettings(root)
	s.TrainSize, s.TestFolder, s.TestCenter, s.ValidFraction = 6, "val", 0.75, 0
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Count != 8 || d.Train.Height != 6 || d.Valid.Height != 6 || d.Test.Count != 2 || d.Test.Width != 4 {
		t.Errorf("%d training images of %d pixels, %d test images of %d", d.Train.Count, d.Train.Height, d.Test.Count, d.Test.Width)
	}
	if got := d.Test.at(0); slices.Max(got[:16]) != 0 || slices.Min(got[32:]) != 255 {
		t.Errorf("the test image shows its frame: %v", got)
	}
	if want := "the center square at 6x6 for training, 0.75 of its side at 4x4 for the test, 8 training images, 2 test images"; !strings.HasSuffix(d.Source, want) {
		t.Errorf("source %q, want %q", d.Source, want)
	}
	if _, said := runStage(t, s, 1); !strings.HasSuffix(said[0].Message, "8 training and 0 validation images of 6x6, and 2 test images of 4x4") {
		t.Errorf("the stage said %q", said[0].Message)
	}
	path := filepath.Join(t.TempDir(), "dataset.safetensors")
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, loaded); diff != "" {
		t.Errorf("read differs from written (-want +got):\n%s", diff)
	}
	s.TestFolder = "test"
	if _, err := Make(t.Context(), s, 1); err == nil || !strings.Contains(err.Error(), "looks like a split") {
		t.Errorf("without a folder test: %v", err)
	}
	for want, change := range map[string]func(*Settings){
		"train_size: 3 pixels, want 4 to 1024, or 0 for 4": func(s *Settings) { s.TrainSize = 3 },
		"test_center: 1.5 of the side":                     func(s *Settings) { s.TestCenter = 1.5 },
		"test_center: 0 of the side":                       func(s *Settings) { s.TestCenter = 0 },
		`test_folder: "a/b", want the name of a folder`:    func(s *Settings) { s.TestFolder = "a/b" },
		"train_size: only folder keeps training images":    func(s *Settings) { s.Source, s.Path = SourceShapes, "" },
	} {
		wrong := s
		change(&wrong)
		if err := wrong.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
