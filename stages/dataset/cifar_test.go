package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

// fakeCIFAR returns the files of a small data set in the format: n records a file, with the labels in turn and pixels
// that tell file, record and position.
func fakeCIFAR(f cifarFormat, n int) map[string][]byte {
	content := map[string][]byte{"readme.html": []byte("not read")}
	for k, name := range slices.Concat(f.train, f.test) {
		var b []byte
		for i := range n {
			for _, l := range f.labels {
				b = append(b, byte(i%l.classes))
			}
			for p := range cifarBytes {
				b = append(b, byte(k+i+p))
			}
		}
		content[name] = b
	}
	for _, l := range f.labels {
		var names []string
		for c := range l.classes {
			names = append(names, "class "+string(rune('A'+c/10))+string(rune('a'+c%10)))
		}
		content[l.names] = []byte(strings.Join(names, "\n") + "\n\n")
	}
	return content
}

func writeFolder(t *testing.T, dir string, content map[string][]byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range content {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func tarGz(t testing.TB, folder string, content map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	if folder != "" {
		check(w.WriteHeader(&tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755}))
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		check(w.WriteHeader(&tar.Header{Name: path.Join(folder, name), Mode: 0o644, Size: int64(len(content[name]))}))
		_, err := w.Write(content[name])
		check(err)
	}
	check(w.Close())
	check(z.Close())
	return b.Bytes()
}

// Wherever the files lie and however they are packed, the images and the fingerprint are the same.
func TestReadCIFAR(t *testing.T) {
	for _, f := range []cifarFormat{cifar10(), cifar100()} {
		label := len(f.labels) - 1
		content := fakeCIFAR(f, 110)
		dir := t.TempDir()
		places := []string{
			writeFolder(t, filepath.Join(dir, "flat"), content),
			filepath.Dir(writeFolder(t, filepath.Join(dir, "parent", f.folder), content)),
			filepath.Join(dir, "nested.tar.gz"), filepath.Join(dir, "flat.tgz"),
		}
		for i, folder := range []string{f.folder, ""} {
			if err := os.WriteFile(places[2+i], tarGz(t, folder, content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var first *Images
		var fingerprint map[string]string
		for _, place := range places {
			train, test, classes, err := f.read(t.Context(), place, label)
			if err != nil {
				t.Fatal(err)
			}
			if train.Count != 110*len(f.train) || test.Count != 110 || len(classes) != f.labels[label].classes {
				t.Fatalf("%s: %d training and %d test images, %d classes", place, train.Count, test.Count, len(classes))
			}
			if err := train.check(len(classes)); err != nil {
				t.Fatal(err)
			}
			s := Settings{Source: f.name, Path: place}
			sums, err := s.Fingerprint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first, fingerprint = train, sums
			}
			if !slices.Equal(train.Pixels, first.Pixels) || !slices.Equal(train.Labels, first.Labels) {
				t.Errorf("%s: other images than in %s", place, places[0])
			}
			if diff := cmp.Diff(fingerprint, sums); diff != "" {
				t.Errorf("%s: other fingerprint (-flat +this):\n%s", place, diff)
			}
		}
		// Records keep the order of the files; a record's planes are an image's.
		k := len(f.train) - 1
		i := 110*k + 7
		if first.Labels[i] != 7 || first.at(i)[0] != byte(k+7) || first.at(i)[cifarBytes-1] != byte((k+7+cifarBytes-1)%256) {
			t.Errorf("%s: image %d has label %d and begins with %d", f.name, i, first.Labels[i], first.at(i)[0])
		}
		if want := slices.Sorted(slices.Values(f.files(label))); !slices.Equal(slices.Sorted(maps.Keys(fingerprint)), want) {
			t.Errorf("%s: fingerprint of %v, want of %v", f.name, slices.Sorted(maps.Keys(fingerprint)), want)
		}
	}
}

func TestFingerprintFollowsContent(t *testing.T) {
	content := fakeCIFAR(cifar10(), 2)
	s := Settings{Source: SourceCIFAR10, Path: writeFolder(t, t.TempDir(), content)}
	before, err := s.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	content["data_batch_3.bin"][99]++
	content["readme.html"] = []byte("changed")
	writeFolder(t, s.Path, content)
	after, err := s.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name := range before {
		if changed := before[name] != after[name]; changed != (name == "data_batch_3.bin") {
			t.Errorf("%s changed: %v", name, changed)
		}
	}
	if shapes, err := (&Settings{Source: SourceShapes}).Fingerprint(t.Context()); err != nil || len(shapes) != 0 {
		t.Errorf("shapes have the fingerprint %v, %v", shapes, err)
	}
}

func TestReadCIFARRejects(t *testing.T) {
	ten, hundred := cifar10(), cifar100()
	for _, c := range []struct {
		name   string
		format cifarFormat
		spoil  func(map[string][]byte)
		want   string
	}{
		{"label out of range", ten, func(m map[string][]byte) { m["data_batch_3.bin"][17*3073] = 12 },
			"data_batch_3.bin: record 17, byte offset 52241: label 12, want 0 to 9"},
		{"fine label out of range", hundred, func(m map[string][]byte) { m["test.bin"][3074+1] = 100 },
			"test.bin: record 1, byte offset 3075: label 100, want 0 to 99"},
		{"coarse label out of range", hundred, func(m map[string][]byte) { m["train.bin"][2*3074] = 20 },
			"train.bin: record 2, byte offset 6148: label 20, want 0 to 19"},
		{"truncated", ten, func(m map[string][]byte) { m["test_batch.bin"] = m["test_batch.bin"][:5000] },
			"test_batch.bin has 5000 bytes, want a multiple of 3073 (1 label and 3072 pixel bytes a record): it is truncated or not CIFAR-10"},
		{"empty", hundred, func(m map[string][]byte) { m["train.bin"] = nil }, "train.bin has 0 bytes"},
		{"file missing", ten, func(m map[string][]byte) { delete(m, "data_batch_5.bin") }, "lacks data_batch_5.bin: want the files of cifar-10-binary.tar.gz"},
		{"Python version", ten, func(m map[string][]byte) { clear(m); m["data_batch_1"] = nil }, "lacks data_batch_1.bin, data_batch_2.bin"},
		{"class missing", ten, func(m map[string][]byte) { m["batches.meta.txt"] = []byte("a\nb") }, "batches.meta.txt names 2 classes, want 10"},
		{"class twice", ten, func(m map[string][]byte) { m["batches.meta.txt"] = []byte("a\nb\nc\nd\na\nf\ng\nh\ni\nj") },
			`batches.meta.txt: classes 0 and 4 are both named "a"`},
		{"other data set", ten, func(m map[string][]byte) { clear(m); maps.Copy(m, fakeCIFAR(hundred, 2)) }, "lacks data_batch_1.bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := fakeCIFAR(c.format, 20)
			c.spoil(content)
			dir := t.TempDir()
			folder := writeFolder(t, filepath.Join(dir, "folder"), content)
			archive := filepath.Join(dir, "x.tar.gz")
			if err := os.WriteFile(archive, tarGz(t, "x", content), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, place := range []string{folder, archive} {
				_, _, _, err := c.format.read(t.Context(), place, len(c.format.labels)-1)
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), place) {
					t.Errorf("error %v, want %q and the path", err, c.want)
				}
			}
		})
	}
}

// No damaged archive passes: what decompresses to something else fails its checksum. (Some bits of a compressed
// stream mean nothing; then the content is the same.)
func TestDamagedArchive(t *testing.T) {
	f := cifar10()
	good := tarGz(t, f.folder, fakeCIFAR(f, 1))
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	read := func(b []byte) (map[string]string, error) {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return f.open(file).digests(t.Context(), f.files(0))
	}
	want, err := read(good)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(good); n += 1 + len(good)/97 {
		if _, err := read(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read without error", n, len(good))
		}
		if n < 10 {
			continue // flags and time in the header of the gzip format are not checked by it
		}
		b := bytes.Clone(good)
		b[n] ^= 0x10
		if got, err := read(b); err == nil && !maps.Equal(got, want) {
			t.Errorf("an error in byte %d was not noticed", n)
		}
	}
	if _, err := read([]byte("PK\x03\x04 a zip file")); err == nil || !strings.Contains(err.Error(), "neither a folder nor a .tar.gz") {
		t.Errorf("error %v for a file of another format", err)
	}
}

func TestMissingPathSaysWhatToDo(t *testing.T) {
	s := Settings{Source: SourceCIFAR10, Path: filepath.Join(t.TempDir(), "nowhere")}
	_, fingerprint := s.Fingerprint(t.Context())
	_, made := Make(t.Context(), s, 1)
	for _, err := range []error{fingerprint, made} {
		var setting *pipeline.SettingError
		if !errors.As(err, &setting) || setting.Path != "path" || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("error %v, want a SettingError about path that wraps %v", err, fs.ErrNotExist)
		}
		for _, want := range []string{s.Path, "cifar-10-binary.tar.gz", "--set data.path="} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %v does not say %q", err, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Path = writeFolder(t, t.TempDir(), fakeCIFAR(cifar10(), 1))
	if _, err := s.Fingerprint(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that wraps %v", err, context.Canceled)
	}
	if _, err := Make(ctx, s, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that wraps %v", err, context.Canceled)
	}
}

func TestRealCIFAR(t *testing.T) {
	s := DefaultSettings()
	s.Source, s.Path, s.Size, s.TrainImages, s.TestImages = SourceCIFAR10, publicdata.Path(t, "cifar10-12k"), 16, 1000, 500
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Count != 500 || d.Valid.Count != 500 || d.Test.Count != 500 || d.Train.Width != 16 || d.Classes[9] != "truck" {
		t.Errorf("%d, %d, %d images of %d pixels, classes %v", d.Train.Count, d.Valid.Count, d.Test.Count, d.Train.Width, d.Classes)
	}
	for _, part := range d.splits() {
		if counts := part.images.ClassCounts(10); slices.Min(counts) != 50 || slices.Max(counts) != 50 {
			t.Errorf("%s split: class counts %v", part.name, counts)
		}
	}
	// The published statistics of the whole training set at full size are 0.4914 0.4822 0.4465.
	for c, want := range []float32{0.4914, 0.4822, 0.4465} {
		if d.Mean[c] < want-0.03 || d.Mean[c] > want+0.03 {
			t.Errorf("mean of channel %d is %v, want about %v", c, d.Mean[c], want)
		}
	}
	s.Source, s.Path, s.CoarseLabels = SourceCIFAR100, publicdata.Path(t, "cifar100-12k"), true
	if d, err = Make(t.Context(), s, 1); err != nil || len(d.Classes) != 20 || d.Classes[0] != "aquatic_mammals" {
		t.Errorf("coarse labels: %v", err)
	}
	s.CoarseLabels = false
	if d, err = Make(t.Context(), s, 1); err != nil || len(d.Classes) != 100 || d.Classes[99] != "worm" {
		t.Errorf("fine labels: %v", err)
	}
}

// Whatever the bytes, the reader of records either gives as many images as fit, with labels in range, or an error.
func FuzzCIFARRecords(f *testing.F) {
	f.Add(fakeCIFAR(cifar10(), 2)["test_batch.bin"], false)
	f.Add(fakeCIFAR(cifar100(), 1)["test.bin"], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, hundred bool) {
		format := cifar10()
		if hundred {
			format = cifar100()
		}
		label := len(format.labels) - 1
		im, err := format.parse("x.bin", b, label)
		if err != nil {
			return
		}
		if im.Count*(cifarBytes+len(format.labels)) != len(b) {
			t.Fatalf("%d images from %d bytes", im.Count, len(b))
		}
		if err := im.check(format.labels[label].classes); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzArchive(f *testing.F) {
	f.Add(tarGz(f, "", map[string][]byte{"a.bin": []byte("abc"), "b.bin": nil}))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := files{path: file}.read(t.Context(), []string{"a.bin", "b.bin"})
		if err == nil && len(content) != 2 {
			t.Fatalf("read %d files of 2 without error", len(content))
		}
	})
}
