package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

// idxBytes is a file in the format: magic, sizes and values.
func idxBytes(magic uint32, sizes []int, values ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, n := range sizes {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return append(b, values...)
}

// fakeIDX returns the files of a small data set: gray images of height x width pixels that tell split, image and position,
// with three classes in turn.
func fakeIDX(train, test, height, width int) map[string][]byte {
	content := map[string][]byte{}
	for k, split := range []string{idxTrain, idxTest} {
		count := []int{train, test}[k]
		var pixels, labels []byte
		for i := range count {
			labels = append(labels, byte(i%3))
			for p := range height * width {
				pixels = append(pixels, byte(100*k+10*i+p))
			}
		}
		a, b := idxNames(split)
		content[a.stem] = idxBytes(idxImages, []int{count, height, width}, pixels...)
		content[b.stem] = idxBytes(idxLabels, []int{count}, labels...)
	}
	return content
}

func gzipped(t testing.TB, content map[string][]byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, b := range content {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out[name+".gz"] = packed.Bytes()
	}
	return out
}

func idxSettings(path string) Settings {
	s := DefaultSettings()
	s.Source, s.Path, s.ValidFraction = SourceIDX, path, 0
	return s
}

// Packed or not, and in either spelling of the names, the files give the same images and the same fingerprint.
func TestReadIDX(t *testing.T) {
	content := fakeIDX(7, 4, 9, 8)
	dotted := map[string][]byte{}
	for name, b := range content {
		dotted[strings.Replace(name, "-idx", ".idx", 1)] = b
	}
	var first *Dataset
	var fingerprint map[string]string
	for _, files := range []map[string][]byte{content, gzipped(t, content), dotted} {
		s := idxSettings(writeFolder(t, filepath.Join(t.TempDir(), "digits"), files))
		d, err := Make(t.Context(), s, 1)
		if err != nil {
			t.Fatal(err)
		}
		sums, err := s.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first, fingerprint = d, sums
		}
		if diff := cmp.Diff(first, d); diff != "" {
			t.Errorf("another data set (-plain +this):\n%s", diff)
		}
		if diff := cmp.Diff(fingerprint, sums); diff != "" || len(sums) != 4 {
			t.Errorf("another fingerprint (-plain +this):\n%s", diff)
		}
	}
	if err := first.Check(); err != nil {
		t.Fatal(err)
	}
	im := first.Train
	if im.Count != 7 || im.Channels != 1 || im.Height != 9 || im.Width != 8 || !slices.Equal(first.Classes, []string{"0", "1", "2"}) || first.Name != "digits" {
		t.Errorf("%s: %d images of %dx%dx%d in classes %v", first.Name, im.Count, im.Channels, im.Height, im.Width, first.Classes)
	}
	if im.Labels[5] != 2 || im.at(5)[0] != 50 || im.at(5)[71] != 121 || first.Test.at(3)[0] != 130 {
		t.Errorf("image 5 has label %d and pixels %v", im.Labels[5], im.at(5))
	}
	if want := "IDX files, 7 training images, 4 test images"; first.Source != want {
		t.Errorf("source %q, want %q", first.Source, want)
	}
}

func TestIDXIsBroughtToASize(t *testing.T) {
	square := writeFolder(t, t.TempDir(), fakeIDX(6, 3, 8, 8))
	for _, size := range []int{4, 8, 12} {
		s := idxSettings(square)
		s.Size, s.TrainImages = size, 3
		d, err := Make(t.Context(), s, 1)
		if err != nil || d.Train.Height != size || d.Test.Width != size || d.Train.Count != 3 {
			t.Errorf("size %d: %+v, %v", size, d, err)
		}
	}
	s := idxSettings(writeFolder(t, t.TempDir(), fakeIDX(6, 3, 9, 8)))
	s.Size = 8
	if _, err := Make(t.Context(), s, 1); err != nil {
		t.Error(err)
	}
	s.Size = 12
	var setting *pipeline.SettingError
	if _, err := Make(t.Context(), s, 1); !errors.As(err, &setting) || setting.Path != "size" || !strings.Contains(err.Error(), "only square images are enlarged") {
		t.Errorf("images of 8x9 pixels to 12: %v", err)
	}
}

func TestReadIDXRejects(t *testing.T) {
	images, labels := "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	for _, c := range []struct {
		name  string
		spoil func(map[string][]byte)
		want  string
	}{
		{"another format", func(m map[string][]byte) { copy(m[images], "PNG!") }, images + " begins with 0x504e4721, want 0x00000803 for images as unsigned bytes"},
		{"numbers of another type", func(m map[string][]byte) { m[images][2] = 0x0d }, "begins with 0x00000d03, want 0x00000803"},
		{"images and labels in each other's place", func(m map[string][]byte) { m[images], m[labels] = m[labels], m[images] }, "seem to have changed places"},
		{"packed without saying so", func(m map[string][]byte) { m[images] = gzipped(t, map[string][]byte{"x": m[images]})["x.gz"] }, images + " is packed with gzip: give it the ending .gz"},
		{"no header", func(m map[string][]byte) { m[labels] = m[labels][:3] }, labels + " has 3 bytes: it is truncated"},
		{"half a header", func(m map[string][]byte) { m[images] = m[images][:9] }, "fewer than the 16 of its header: it is truncated"},
		{"truncated", func(m map[string][]byte) { m[images] = m[images][:100] }, images + " has 84 bytes of images, want 448 by its header [7 8 8]: it is truncated"},
		{"too long", func(m map[string][]byte) { m[labels] = append(m[labels], 1) }, labels + " has 8 bytes of labels, want 7 by its header [7]: something follows its end"},
		{"counts that differ", func(m map[string][]byte) { m[labels] = idxBytes(idxLabels, []int{2}, 1, 2) }, labels + " has 2 labels for the 7 images of " + images},
		{"an impossible size", func(m map[string][]byte) { m[images] = idxBytes(idxImages, []int{1 << 20, 1 << 20, 1 << 20}) }, "a size of 1048576 in dimension 1 is out of range"},
		{"nothing in it", func(m map[string][]byte) {
			m[images], m[labels] = idxBytes(idxImages, []int{0, 8, 8}), idxBytes(idxLabels, []int{0})
		}, "holds no pixels: 0 images of 8x8"},
		{"test images of another size", func(m map[string][]byte) { maps.Copy(m, onlyTest(fakeIDX(7, 3, 4, 4))) }, "training images of 8x8 and test images of 4x4"},
		{"one class", func(m map[string][]byte) {
			m[labels], m["t10k-labels-idx1-ubyte"] = idxBytes(idxLabels, []int{7}, make([]byte, 7)...), idxBytes(idxLabels, []int{4}, make([]byte, 4)...)
		}, "every label is 0"},
		{"a file missing", func(m map[string][]byte) { delete(m, labels) }, "holds neither " + labels + " nor " + labels + ".gz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := fakeIDX(7, 4, 8, 8)
			c.spoil(content)
			s := idxSettings(writeFolder(t, filepath.Join(t.TempDir(), "digits"), content))
			var setting *pipeline.SettingError
			_, err := Make(t.Context(), s, 1)
			if !errors.As(err, &setting) || setting.Path != "path" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), s.Path) {
				t.Errorf("error %v, want %q, the path and the setting", err, c.want)
			}
		})
	}
}

// onlyTest returns the test split of a data set's files.
func onlyTest(content map[string][]byte) map[string][]byte {
	maps.DeleteFunc(content, func(name string, _ []byte) bool { return !strings.HasPrefix(name, idxTest) })
	return content
}

func TestIDXThatIsMissingOrDamaged(t *testing.T) {
	nowhere := idxSettings(filepath.Join(t.TempDir(), "nowhere"))
	_, fingerprint := nowhere.Fingerprint(t.Context())
	_, made := Make(t.Context(), nowhere, 1)
	for _, err := range []error{fingerprint, made} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "t10k-labels-idx1-ubyte, each with .gz or without, as --set data.path=PATH") {
			t.Errorf("error %v does not say what is wanted", err)
		}
	}
	packed := gzipped(t, fakeIDX(7, 4, 8, 8))
	name := "train-images-idx3-ubyte.gz"
	packed[name] = packed[name][:len(packed[name])/2]
	s := idxSettings(writeFolder(t, t.TempDir(), packed))
	if _, err := Make(t.Context(), s, 1); err == nil || !strings.Contains(err.Error(), "train-images-idx3-ubyte: unexpected EOF") {
		t.Errorf("half an archive: %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.Path, name), []byte("not packed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fingerprint(t.Context()); err == nil || !strings.Contains(err.Error(), "is damaged or no .gz") {
		t.Errorf("no archive: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Path = writeFolder(t, t.TempDir(), fakeIDX(7, 4, 8, 8))
	if _, err := Make(ctx, s, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that wraps %v", err, context.Canceled)
	}
}

func TestRealMNIST(t *testing.T) {
	s := idxSettings(publicdata.Path(t, "mnist"))
	s.TrainImages, s.TestImages = 500, 200
	d, err := Make(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := "IDX files, 500 of 60000 training images, 200 of 10000 test images"; d.Source != want || len(d.Classes) != 10 || d.Train.Width != 28 {
		t.Errorf("source %q, %d classes, %d pixels", d.Source, len(d.Classes), d.Train.Width)
	}
	// The published statistics of all training images are 0.1307 and 0.3081.
	if d.Mean[0] < 0.11 || d.Mean[0] > 0.15 || d.Std[0] < 0.29 || d.Std[0] > 0.33 {
		t.Errorf("mean %v, standard deviation %v", d.Mean, d.Std)
	}
}

// What is written is read, whatever the sizes.
func TestIDXRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, height, width := rapid.IntRange(1, 5).Draw(t, "count"), rapid.IntRange(1, 6).Draw(t, "height"), rapid.IntRange(1, 6).Draw(t, "width")
		pixels := rapid.SliceOfN(rapid.Byte(), count*height*width, count*height*width).Draw(t, "pixels")
		labels := rapid.SliceOfN(rapid.Byte(), count, count).Draw(t, "labels")
		im, err := parseIDX("a", idxBytes(idxImages, []int{count, height, width}, pixels...), "b", idxBytes(idxLabels, []int{count}, labels...))
		if err != nil || im.Height != height || im.Width != width || !bytes.Equal(im.Pixels, pixels) {
			t.Fatalf("%+v, %v", im, err)
		}
		for i, l := range labels {
			if im.Labels[i] != int64(l) {
				t.Fatalf("labels %v from %v", im.Labels, labels)
			}
		}
	})
}

// Whatever the bytes, the reader gives whole images or an error.
func FuzzIDX(f *testing.F) {
	content := fakeIDX(2, 1, 3, 4)
	f.Add(content["train-images-idx3-ubyte"], content["train-labels-idx1-ubyte"])
	f.Add(idxBytes(idxImages, []int{1 << 30, 1 << 12, 1 << 12}), idxBytes(idxLabels, []int{1 << 30}))
	f.Add([]byte{0x1f, 0x8b, 8, 0}, []byte{})
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		im, err := parseIDX("images", images, "labels", labels)
		if err != nil {
			return
		}
		if err := im.check(256); err != nil {
			t.Fatal(err)
		}
		if 16+len(im.Pixels) != len(images) || 8+im.Count != len(labels) {
			t.Fatalf("%d images of %dx%d from %d and %d bytes", im.Count, im.Width, im.Height, len(images), len(labels))
		}
	})
}
