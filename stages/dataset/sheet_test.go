package dataset

import (
	"image"
	palette "image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// sheet puts the images side by side, enlarged.
func sheet(im *Images, indices []int, columns, scale int) image.Image {
	cell := im.Width*scale + 4
	rows := (len(indices) + columns - 1) / columns
	out := image.NewNRGBA(image.Rect(0, 0, columns*cell, rows*cell))
	draw.Draw(out, out.Bounds(), image.NewUniform(palette.White), image.Point{}, draw.Src)
	for k, i := range indices {
		small := im.Image(i)
		for y := range im.Height * scale {
			for x := range im.Width * scale {
				out.Set(k%columns*cell+2+x, k/columns*cell+2+y, small.At(x/scale, y/scale))
			}
		}
	}
	return out
}

// To look at what is drawn: PLATEAU_SHEETS=DIR go test -run TestContactSheet
func TestContactSheet(t *testing.T) {
	dir := os.Getenv("PLATEAU_SHEETS")
	if dir == "" {
		t.Skip("writes pictures to look at into the folder that PLATEAU_SHEETS names")
	}
	for name, size := range map[string]int{"shapes16.png": 16, "shapes32.png": 32} {
		im, err := Shapes(t.Context(), 120, size, DefaultShapesSettings(), 1)
		if err != nil {
			t.Fatal(err)
		}
		indices := make([]int, im.Count)
		for i := range indices {
			indices[i] = i
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, sheet(im, indices, 10, 96/size)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
