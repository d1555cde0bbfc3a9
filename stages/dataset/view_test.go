package dataset

import (
	"bytes"
	"image"
	shade "image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pngOf encodes a picture of 8x4 pixels: its left and right quarter black, the square between them red with a green core of 2x2.
func pngOf(t *testing.T) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, 8, 4))
	for y := range 4 {
		for x := range 8 {
			ink := shade.RGBA{A: 255}
			switch {
			case x >= 3 && x < 5 && y >= 1 && y < 3:
				ink.G = 200
			case x >= 2 && x < 6:
				ink.R = 100
			}
			im.SetRGBA(x, y, ink)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadPictureShowsTheView(t *testing.T) {
	for name, c := range map[string]struct {
		view View
		want []uint8
	}{
		"the center square, averaged": {View{Size: 1, Center: 1}, []uint8{75, 50, 0}},
		"half of its side":            {View{Size: 1, Center: 0.5}, []uint8{0, 200, 0}},
	} {
		im, err := ReadPicture(pngOf(t), c.view)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, im.Pixels); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for _, wrong := range []View{{Size: 0, Center: 1}, {Size: 2000, Center: 1}, {Size: 4}, {Size: 4, Center: 1.5}} {
		if _, err := ReadPicture(pngOf(t), wrong); err == nil {
			t.Errorf("the view %+v is accepted", wrong)
		}
	}
}

func TestListPictures(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"b/2.JPG", "b/1.png", "a.gif", "notes.txt", ".hidden/3.png", "b/.4.png"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ListPictures(t.Context(), root)
	want := []string{filepath.Join(root, "a.gif"), filepath.Join(root, "b", "1.png"), filepath.Join(root, "b", "2.JPG")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v, want %v", err, got, want)
	}
}

// What was shown of the test images is kept with the data set, for the pictures that come later.
func TestViewIsKept(t *testing.T) {
	root := t.TempDir()
	for _, class := range []string{"a", "b"} {
		for i := range 10 {
			path := filepath.Join(root, class, string(rune('0'+i))+".png")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(pngOf(t), class[0], byte(i)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := DefaultSettings()
	s.Source, s.Path, s.Size, s.TestCenter, s.IgnoreEXIF = SourceFolder, root, 4, 0.875, true
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dataset.safetensors")
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	read, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&View{Center: 0.875, Stored: true}, read.View); d != "" {
		t.Error(d)
	}
}
