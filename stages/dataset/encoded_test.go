package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	stdjpeg "image/jpeg"

	"github.com/google/go-cmp/cmp"
)

// manyPhotos writes pictures of several sizes and formats, some of them near copies, and returns the folder.
func manyPhotos(t *testing.T, each int) string {
	t.Helper()
	root := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for c, class := range []string{"a", "b", "c"} {
		putClass(t, 3, uint8(40*c), root, class) // PNG
		for i := range each {
			im := newImages(1, 3, 40+c, 40+c)
			base, across := rng.Float64()*120, 1+rng.Float64()*3
			for k := range im.Pixels {
				im.Pixels[k] = uint8(base + 60*float64(c) + float64(k%(40+c))*across/3 + rng.Float64()*20)
			}
			var b bytes.Buffer
			if err := stdjpeg.Encode(&b, im.Image(0), nil); err != nil {
				t.Fatal(err)
			}
			names := []string{fmt.Sprintf("%02d.jpg", i)}
			if i == 0 { // a copy, which has to stay on the same side
				names = append(names, "copy.jpg")
			}
			for _, name := range names {
				if err := os.WriteFile(filepath.Join(root, class, name), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}

// Training gets the same batches from files as from pixels, before and after the data set was saved, wherever the files are kept meanwhile.
func TestPicturesKeptAsFilesGiveTheSameBatches(t *testing.T) {
	s := folderSettings(manyPhotos(t, 9))
	s.Size, s.TrainSize, s.ValidFraction, s.TestFraction = 16, 20, 0.25, 0.25
	want, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Keep = KeepFiles
	for name, limit := range map[string]int{"memory": 1 << 30, "disk": 1} {
		scratch := t.TempDir()
		keep := &storage{folder: scratch, limit: limit}
		d, err := makeDataset(t.Context(), s, 1, listener{}, keep)
		if err != nil {
			t.Fatal(name, err)
		}
		path := filepath.Join(t.TempDir(), "dataset.safetensors")
		if err := d.Save(path); err != nil {
			t.Fatal(name, err)
		}
		if err := keep.close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
			t.Errorf("%s: left on the disk: %v, %v", name, left, err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(name, err)
		}
		if got.Train.Encoded == nil || got.Train.Pixels != nil || got.Valid.Encoded == nil || got.Test.Encoded != nil {
			t.Fatalf("%s: training images are not kept as files, or test images are", name)
		}
		if diff := cmp.Diff(want.Mean, got.Mean); diff != "" {
			t.Error(name, diff)
		}
		for split, pair := range map[string][2]*Images{"train": {want.Train, got.Train}, "valid": {want.Valid, got.Valid}, "both": {want.TrainValid(), got.TrainValid()}, "test": {want.Test, got.Test}} {
			decoded, err := pair[1].Decoded(t.Context())
			if err != nil {
				t.Fatal(name, split, err)
			}
			if diff := cmp.Diff(pair[0], decoded); diff != "" {
				t.Errorf("%s, %s: from pixels (-) and from files (+):\n%s", name, split, diff)
			}
		}
		options := LoaderOptions{Batch: 4, Shuffle: true, Augment: Augment{Flip: true, ResizedCrop: 0.3}, Size: 16, Seed: 7}
		if diff := cmp.Diff(batchesOf(t, want.Train, want, options), batchesOf(t, got.Train, got, options)); diff != "" {
			t.Errorf("%s: batches from pixels (-) and from files (+):\n%s", name, diff)
		}
		small, err := got.Reduce(8, 8)
		if err != nil {
			t.Fatal(err)
		}
		wantSmall, err := want.Reduce(8, 8)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantSmall.Train.Pixels, small.Train.Pixels); diff != "" {
			t.Error(name, diff)
		}
	}
}

func batchesOf(t *testing.T, im *Images, d *Dataset, o LoaderOptions) (out [][]float32) {
	t.Helper()
	l, err := NewLoader(im, d.Mean, d.Std, o)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range l.Epoch(t.Context(), 3) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytesOf(b))
	}
	return out
}

func bytesOf(b *Batch) []float32 {
	out := append([]float32{}, b.X...)
	for _, y := range b.Y {
		out = append(out, float32(y))
	}
	return out
}

// A picture that cannot be decoded is an error of the batch that it belongs to, not a black image.
func TestKeptPicturesThatCannotBeDecoded(t *testing.T) {
	s := folderSettings(manyPhotos(t, 4))
	s.Keep, s.ValidFraction, s.Size = KeepFiles, 0, 16
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	d.Train.Encoded.Contents[5] = []byte("not a picture")
	l, err := NewLoader(d.Train, d.Mean, d.Std, LoaderOptions{Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for _, err = range l.Epoch(t.Context(), 0) {
		batches++
	}
	if batches != 2 || err == nil || !strings.Contains(err.Error(), "decode picture 5") {
		t.Errorf("after %d batches: %v", batches, err)
	}
	if d.Train.Image(5) != nil || d.Train.Image(4) == nil {
		t.Error("the wrong picture can be drawn")
	}
	if _, err := d.Train.Downscale(8, 8); err == nil {
		t.Error("reduced all the same")
	}
}

// The rest of a run that was stopped is no hindrance, and a folder that changes is said.
func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	root := manyPhotos(t, 1)
	c, err := (&storage{folder: t.TempDir(), limit: 1}).contentsOf("training", root, []imageFile{{name: filepath.Join("a", "00.jpg")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.put(0, []byte("longer or shorter")); err == nil || !strings.Contains(err.Error(), "leave the folder as it is") {
		t.Error(err)
	}
	if err := c.discard(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := folderSettings(root)
	s.Keep = KeepFiles
	if _, err := Make(ctx, s, 1); err == nil {
		t.Error("went on without being wanted")
	}
}
