package dataset

import (
	"fmt"
	"image"
	pixel "image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

// heard makes a dataset and returns what was said and what was warned of.
func heard(t *testing.T, s Settings) (d *Dataset, said, warned string) {
	t.Helper()
	var a, b []string
	d, err := makeDataset(t.Context(), s, 1, listener{func(s string) { a = append(a, s) }, func(s string) { b = append(b, s) }}, &storage{})
	if err != nil {
		t.Fatal(err)
	}
	return d, strings.Join(a, "\n"), strings.Join(b, "\n")
}

func total(d *Dataset) int { return d.Train.Count + d.Valid.Count + d.Test.Count }

// What programs leave behind is left out, wherever it lies, and counted; links that lead nowhere are too.
func TestFolderLeavesJunkOut(t *testing.T) {
	root := t.TempDir()
	for green, class := range []string{"blue", "red"} {
		putClass(t, 8, uint8(green), root, class)
		putClass(t, 8, uint8(50+green), root, class, "@eaDir", "x.png")
		putClass(t, 1, uint8(60+green), root, class, ".thumbnails")
	}
	for i, name := range []string{"__MACOSX", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information"} {
		putClass(t, 2, uint8(100+i), root, name, "red")
	}
	putFile(t, []byte("x"), root, "red", "notes.txt")
	putFile(t, []byte("x"), root, "red", "a.HEIC")
	putFile(t, []byte("x"), root, "red", "b.heic")
	if err := os.Symlink("nowhere", filepath.Join(root, "red", "link.png")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "dangling")); err != nil {
		t.Skip(err)
	}
	d, said, _ := heard(t, folderSettings(root))
	if total(d) != 16 || len(d.Classes) != 2 {
		t.Errorf("%d images in %q", total(d), d.Classes)
	}
	for _, want := range []string{
		"left out 9 folders that programs leave behind or hide, with 28 files in them: 1 #recycle, 1 $RECYCLE.BIN, 2 .thumbnails, 2 @eaDir",
		"red: 2 .heic, 1 .txt", "skipped 2 links that lead nowhere or to folders, such as dangling",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}

// Names of classes that differ in their Unicode form alone are one.
func TestFolderJoinsUnicodeForms(t *testing.T) {
	const composed, decomposed = "M\u00f6we", "Mo\u0308we"
	root := t.TempDir()
	putClass(t, 8, 1, root, composed)
	putClass(t, 8, 2, root, decomposed)
	putClass(t, 8, 3, root, "blue")
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 3 {
		t.Skip("the file system takes both forms for one name")
	}
	d, said, _ := heard(t, folderSettings(root))
	if !slices.Equal(d.Classes, []string{composed, "blue"}) || total(d) != 24 || !strings.Contains(said, "Unicode form alone are one class each: "+composed) {
		t.Errorf("%d images in %q, said %q", total(d), d.Classes, said)
	}
	split := t.TempDir()
	putClass(t, 8, 1, split, "train", composed)
	putClass(t, 8, 2, split, "train", "blue")
	putClass(t, 3, 3, split, "test", decomposed)
	putClass(t, 3, 4, split, "test", "blue")
	if d, _, _ := heard(t, folderSettings(split)); !slices.Equal(d.Classes, []string{composed, "blue"}) || d.Test.Count != 6 {
		t.Errorf("%d test images in %q", d.Test.Count, d.Classes)
	}
}

// A file and its copies are in one split, and images of several classes are warned of.
func TestFolderKeepsCopiesTogether(t *testing.T) {
	root := t.TempDir()
	for green, class := range []string{"blue", "green", "red"} {
		for i := range 8 {
			for _, suffix := range []string{"", "a", "b"} {
				putImage(t, plain(6, 6, pixel.NRGBA{uint8(i * 20), uint8(green), 9, 255}), root, class, fmt.Sprint(i, suffix, ".png"))
			}
		}
	}
	s := folderSettings(root)
	for from := range uint64(5) {
		d, err := Make(t.Context(), s, from)
		if err != nil {
			t.Fatal(err)
		}
		where := map[string]string{}
		for _, part := range d.splits() {
			for i := range part.images.Count {
				key := fmt.Sprint(part.images.Labels[i], part.images.at(i)[0])
				if other, ok := where[key]; ok && other != part.name {
					t.Errorf("seed %d: a picture is in %s and in %s", from, other, part.name)
				}
				where[key] = part.name
			}
		}
		if total(d) != 72 || d.Test.Count < 9 || d.Valid.Count < 9 {
			t.Errorf("seed %d: %d, %d and %d images", from, d.Train.Count, d.Valid.Count, d.Test.Count)
		}
	}
	if _, said, _ := heard(t, s); !strings.Contains(said, "48 files are copies of others, such as blue/0a.png of blue/0.png") {
		t.Errorf("said %q", said)
	}

	putImage(t, plain(6, 6, pixel.NRGBA{140, 0, 9, 255}), root, "red", "wrong.png") // is blue/7.png
	if _, _, warned := heard(t, s); !strings.Contains(warned, "are the same in several classes, such as blue/7.png and red/wrong.png") {
		t.Errorf("warned %q", warned)
	}
}

// Training images that the test has too are left out.
func TestFolderKeepsTrainingApartFromTest(t *testing.T) {
	root := t.TempDir()
	putClass(t, 9, 1, root, "train", "a")
	putClass(t, 9, 2, root, "train", "b")
	putClass(t, 2, 1, root, "test", "a")
	putClass(t, 2, 3, root, "test", "b")
	d, _, warned := heard(t, folderSettings(root))
	if d.Train.Count+d.Valid.Count != 16 || d.Test.Count != 4 || !strings.Contains(warned, "left 2 training files out that are in the test too, such as train/a/000.png") {
		t.Errorf("%d and %d images, warned %q", d.Train.Count+d.Valid.Count, d.Test.Count, warned)
	}
}

// However groups and quotas are, what is drawn is a division, groups stay together, and no class gets more than its quota unless a
// group comes with another class.
func TestDrawKeepsGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "images")
		im, copies := newImages(n, 1, 1, 1), make([]int, n)
		for i := range n {
			im.Labels[i] = int64(rapid.IntRange(0, 2).Draw(t, "label"))
			copies[i] = rapid.IntRange(0, 6).Draw(t, "group")
		}
		quotas := fractionQuotas(im.ClassCounts(3), rapid.Float64Range(0.1, 0.9).Draw(t, "fraction"))
		from := rapid.Uint64().Draw(t, "seed")
		chosen, others := im.draw(quotas, seed.New(from), copies)
		all := slices.Sorted(slices.Values(slices.Concat(chosen, others)))
		for i := range n {
			if len(all) != n || all[i] != i {
				t.Fatalf("%v and %v are no division of %d", chosen, others, n)
			}
		}
		for _, i := range chosen {
			for _, j := range others {
				if copies[i] != 0 && copies[i] == copies[j] {
					t.Fatalf("%d and %d of group %d are apart", i, j, copies[i])
				}
			}
		}
		if again, _ := im.draw(quotas, seed.New(from), copies); !slices.Equal(again, chosen) {
			t.Fatal("another draw from the same seed differs")
		}
		plain, _ := im.draw(quotas, seed.New(from), nil)
		if same, _ := im.draw(quotas, seed.New(from), make([]int, n)); !slices.Equal(plain, same) {
			t.Fatal("images without copies are drawn otherwise than before")
		}
	})
}

// All pictures that cannot be read are named at once, those of the test too; on request the others are used.
func TestFolderSkipsBadPictures(t *testing.T) {
	build := func(divided bool) string {
		root := t.TempDir()
		in := func(split string) string {
			if divided {
				return filepath.Join(root, split)
			}
			return root
		}
		for green, class := range []string{"a", "b"} {
			putClass(t, 9, uint8(green), in("train"), class)
			if divided {
				putClass(t, 3, uint8(40+green), in("test"), class)
			}
		}
		putFile(t, nil, in("train"), "a", "empty.jpg")
		putFile(t, []byte("<html>"), in("train"), "b", "page.jpg")
		putFile(t, encodePNG(t, image.NewGray(image.Rect(0, 0, 9, 9)))[:40], in("test"), "b", "cut.png")
		return root
	}
	for _, divided := range []bool{true, false} {
		s := folderSettings(build(divided))
		_, err := Make(t.Context(), s, 1)
		for _, want := range []string{"3 pictures of ", "empty.jpg: the file is empty", "page.jpg: not a ", "cut.png: damaged PNG file", "on_bad: skip"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("divided %v: error %v, want %q", divided, err, want)
			}
		}
		s.OnBad = OnBadSkip
		want := 18
		if divided {
			want = 24
		}
		for _, limit := range []int{0, 1} { // in memory and on the disk
			keep := &storage{}
			if limit > 0 {
				keep = &storage{folder: t.TempDir(), limit: limit}
			}
			var warned string
			d, err := makeDataset(t.Context(), s, 1, listener{warn: func(s string) { warned += s }}, keep)
			if err != nil {
				t.Fatal(err)
			}
			if total(d) != want || d.Check() != nil || !strings.Contains(warned, "left out 3 pictures that cannot be read") || !strings.Contains(warned, "cut.png") {
				t.Errorf("divided %v: %d images, %v, warned %q", divided, total(d), d.Check(), warned)
			}
			for _, part := range d.splits() {
				for i := range part.images.Count {
					if g := part.images.at(i)[16] % 40; int64(g) != part.images.Labels[i] {
						t.Errorf("divided %v, %s: an image of class %d has green %d", divided, part.name, part.images.Labels[i], g)
					}
				}
			}
			if err := keep.close(); err != nil {
				t.Fatal(err)
			}
		}
		split, err := ReadSplit(t.Context(), SplitOptions{Source: SourceFolder, Path: s.Path, SkipBad: true, Split: SplitAll})
		if err != nil || split.Images.Count != want || !strings.Contains(split.Note, "left out 3 pictures") {
			t.Errorf("divided %v: %v, %v", divided, split, err)
		}
	}
	s := DefaultSettings()
	s.OnBad = "ignore"
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), `unknown value "ignore"`) {
		t.Errorf("%v", err)
	}
}
