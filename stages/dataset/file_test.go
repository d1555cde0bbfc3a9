package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/safetensors"
)

func TestSaveLoad(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.SliceOfNDistinct(rapid.StringN(1, 8, -1), 2, 5, rapid.ID[string]).Draw(t, "classes")
		channels, h, w := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels"), rapid.IntRange(1, 5).Draw(t, "height"), rapid.IntRange(1, 5).Draw(t, "width")
		d := &Dataset{Name: rapid.String().Draw(t, "name"), Source: rapid.String().Draw(t, "source"), Classes: classes}
		d.Train = imagesOf(t, rapid.IntRange(1, 6).Draw(t, "train"), channels, h, w, len(classes))
		d.Valid = imagesOf(t, rapid.IntRange(0, 6).Draw(t, "valid"), channels, h, w, len(classes))
		d.Test = imagesOf(t, rapid.IntRange(1, 6).Draw(t, "test"), channels, h, w, len(classes))
		d.Mean, d.Std = d.Train.statistics(nil)
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		if err := d.Save(a); err != nil {
			t.Fatal(err)
		}
		got, err := Load(a)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("changed on the way (-saved +loaded):\n%s", diff)
		}
		if err := got.Save(b); err != nil {
			t.Fatal(err)
		}
		x, _ := os.ReadFile(a)
		y, _ := os.ReadFile(b)
		if len(x) == 0 || !bytes.Equal(x, y) {
			t.Fatal("the same dataset was saved as other bytes")
		}
	})
}

func TestLoadRejects(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "d")
	if err := small().Save(file); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(f *safetensors.File){
		`metadata has format "", want "plateau dataset"`: func(f *safetensors.File) { f.Metadata = nil },
		`version "7" of the layout is not known`:         func(f *safetensors.File) { f.Metadata["version"] = "7" },
		"metadata classes":                               func(f *safetensors.File) { f.Metadata["classes"] = "a, b" },
		"1 classes, want at least 2":                     func(f *safetensors.File) { f.Metadata["classes"] = `["a"]` },
		`no tensor "valid.images"`:                       func(f *safetensors.File) { rename(f, "valid.images", "images") },
		`no tensor "mean"`:                               func(f *safetensors.File) { rename(f, "mean", "means") },
		`tensor "train.labels" has shape [5], want [6]`:  func(f *safetensors.File) { replace(f, safetensors.Int64("train.labels", []int{5}, make([]int64, 5))) },
		"test split: image 1 has label 9, want 0 to 1":   func(f *safetensors.File) { replace(f, safetensors.Int64("test.labels", []int{3}, []int64{0, 9, 0})) },
		`tensor "test.labels" holds U8, want I64`:        func(f *safetensors.File) { replace(f, safetensors.Uint8("test.labels", []int{3}, make([]uint8, 3))) },
		"channel 2 has mean 2":                           func(f *safetensors.File) { replace(f, safetensors.Float32("mean", []int{3}, []float32{0, 1, 2})) },
		"2 means and 3 standard deviations":              func(f *safetensors.File) { replace(f, safetensors.Float32("mean", []int{2}, []float32{0, 1})) },
		`tensor "test.images" has shape [3 3 1], want [-1 -1 -1 -1`: func(f *safetensors.File) {
			replace(f, safetensors.Uint8("test.images", []int{3, 3, 1}, make([]uint8, 9)))
		},
	} {
		f, err := safetensors.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		spoil(f)
		spoiled := filepath.Join(dir, "spoiled")
		if err := safetensors.Write(spoiled, f); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(spoiled); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), spoiled) {
			t.Errorf("error %v, want %q and the path", err, want)
		}
	}
}

func rename(f *safetensors.File, from, to string) {
	for i := range f.Tensors {
		if f.Tensors[i].Name == from {
			f.Tensors[i].Name = to
		}
	}
}

func replace(f *safetensors.File, with safetensors.Tensor) {
	for i := range f.Tensors {
		if f.Tensors[i].Name == with.Name {
			f.Tensors[i] = with
		}
	}
}

func TestSaveRejectsAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	d := small()
	d.Test.Labels[0] = 5
	if err := d.Save(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "save dataset small: test split: image 0 has label 5") {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v behind", left)
	}
}
