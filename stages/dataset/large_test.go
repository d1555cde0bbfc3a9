package dataset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Images that are kept on the disk are those that are kept in memory, and nothing of them is left behind.
func TestPixelsOnTheDisk(t *testing.T) {
	root, scratch := t.TempDir(), t.TempDir()
	for green, class := range []string{"a", "b"} {
		putClass(t, 9, uint8(green), root, class)
	}
	s := folderSettings(root)
	s.TrainSize, s.ValidFraction = 6, 0
	want, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	// What a killed run has left is overwritten.
	if err := os.WriteFile(filepath.Join(scratch, "training.pixels"), make([]byte, 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	keep := &storage{folder: scratch, limit: 1000} // more than the test's images have
	got, err := makeDataset(t.Context(), s, 1, listener{}, keep)
	if err != nil {
		t.Fatal(err)
	}
	if len(keep.mapped) != 1 {
		t.Fatalf("%d splits are on the disk, want that of the training", len(keep.mapped))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from memory (-) and from the disk (+):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "dataset.safetensors")
	if err := got.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := keep.close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left on the disk: %v, %v", left, err)
	}

	// A large file is mapped rather than read, with the same result, and outlives its name.
	mapped, err := load(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, mapped); diff != "" {
		t.Errorf("read (-) and mapped (+):\n%s", diff)
	}
	if &mapped.TrainValid().Pixels[0] != &mapped.Train.Pixels[0] {
		t.Error("the training split was copied")
	}
}

// Pixels on the disk are divided, measured and written there, with the same bytes as in memory, and memory is given back on the way.
func TestADividedDatasetStaysOnTheDisk(t *testing.T) {
	root, scratch := t.TempDir(), t.TempDir()
	putClass(t, 40, 1, root, "a")
	putClass(t, 40, 2, root, "b")
	s := folderSettings(root)
	s.Size, s.ValidFraction = 64, 0.25
	want, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	keep := &storage{folder: scratch, limit: 1000}
	got, err := makeDataset(t.Context(), s, 1, listener{}, keep)
	if err != nil {
		t.Fatal(err)
	}
	for name, im := range map[string]*Images{"training": got.Train, "validation": got.Valid, "test": got.Test} {
		if !keep.holds(im.Pixels) {
			t.Errorf("the %s images are in memory", name)
		}
		keep.forget(im.Pixels)
		keep.forget(im.Pixels[1 : len(im.Pixels)-1])
	}
	if keep.holds(want.Train.Pixels) || keep.holds(nil) {
		t.Error("what is in memory is taken for what is on the disk")
	}
	keep.forget(want.Train.Pixels) // stays as it is
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from memory (-) and from the disk (+):\n%s", diff)
	}
	var files [2][]byte
	for i, save := range []func(path string) error{want.Save, func(path string) error { return got.save(path, keep.forget) }} {
		path := filepath.Join(t.TempDir(), "dataset.safetensors")
		if err := save(path); err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the files differ")
	}
	if err := keep.close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left on the disk: %v, %v", left, err)
	}
}

func TestPixelsOnTheDiskThatCannotBeKept(t *testing.T) {
	root := t.TempDir()
	putClass(t, 9, 1, root, "a")
	putClass(t, 9, 2, root, "b")
	s := folderSettings(root)
	fail := func(ctx context.Context, keep *storage) error {
		_, err := makeDataset(ctx, s, 1, listener{}, keep)
		return errors.Join(err, keep.close())
	}
	if err := fail(t.Context(), &storage{folder: filepath.Join(root, "nowhere"), limit: 1}); err == nil || !strings.Contains(err.Error(), "keep pixels on the disk") {
		t.Error(err)
	}
	// After a mistake nothing is left.
	putFile(t, []byte("no picture"), root, "a", "x.png")
	scratch := t.TempDir()
	if err := fail(t.Context(), &storage{folder: scratch, limit: 1}); err == nil || !strings.Contains(err.Error(), "a/x.png: not a") {
		t.Error(err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left on the disk: %v, %v", left, err)
	}
	for name, content := range map[string]string{"empty": "", "short": "1234", "other": strings.Repeat("x", 100)} {
		path := filepath.Join(scratch, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := load(path, 0); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := load(filepath.Join(scratch, "nowhere"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
