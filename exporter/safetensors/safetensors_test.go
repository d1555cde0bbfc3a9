package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// raw puts a header and data together without the writer's checks.
func raw(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestCanonicalBytes(t *testing.T) {
	f := &File{
		Metadata: map[string]string{"b": "<2>", "a": "1"},
		Tensors: []Tensor{
			Uint8("bytes", []int{3}, []uint8{1, 2, 3}),
			Float32("w/b", []int{1}, []float32{1}),
			Int64("labels", nil, []int64{-2}),
			Float32("w/a", []int{1, 1}, []float32{-1}),
		},
	}
	header := `{"__metadata__":{"a":"1","b":"<2>"},` +
		`"labels":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"w/a":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},` +
		`"w/b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},` +
		`"bytes":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := raw(header, []byte{
		0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0, 0, 0x80, 0xbf,
		0, 0, 0x80, 0x3f,
		1, 2, 3,
	})
	var b bytes.Buffer
	if err := Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("bytes differ (-want +got):\n%s", diff)
	}
	if got := f.Names(); !slices.Equal(got, []string{"bytes", "w/b", "labels", "w/a"}) {
		t.Errorf("Encode reordered its argument: %v", got)
	}
}

func fileGenerator() *rapid.Generator[*File] {
	name := rapid.StringN(1, 12, -1).Filter(func(s string) bool { return s != metadataKey })
	return rapid.Custom(func(t *rapid.T) *File {
		f := &File{Metadata: rapid.MapOfN(rapid.String(), rapid.String(), 0, 4).Draw(t, "metadata")}
		for _, n := range rapid.SliceOfNDistinct(name, 0, 6, rapid.ID[string]).Draw(t, "names") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
			dtype := rapid.SampledFrom([]DType{Bool, U8, I8, F8E5M2, F8E4M3, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64}).Draw(t, "dtype")
			size, err := byteSize(dtype, shape)
			if err != nil {
				t.Fatal(err)
			}
			f.Tensors = append(f.Tensors, Tensor{Name: n, DType: dtype, Shape: shape, Data: rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "data")})
		}
		return f
	})
}

// What is written is read back, aligned, and the order in which tensors were given leaves no trace.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fileGenerator().Draw(t, "file")
		var b, shuffled bytes.Buffer
		if err := Encode(&b, f); err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		byName := cmpopts.SortSlices(func(a, b Tensor) bool { return a.Name < b.Name })
		if diff := cmp.Diff(f, got, byName, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("changed on the way (-written +read):\n%s", diff)
		}
		at := 0
		for _, x := range got.Tensors {
			if at%x.DType.Size() != 0 {
				t.Fatalf("tensor %q of %s begins at byte %d", x.Name, x.DType, at)
			}
			at += len(x.Data)
		}
		if (b.Len()-at)%alignment != 0 {
			t.Fatalf("data begins at byte %d", b.Len()-at)
		}
		other := &File{Metadata: f.Metadata, Tensors: rapid.Permutation(f.Tensors).Draw(t, "permuted")}
		if err := Encode(&shuffled, other); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), shuffled.Bytes()) {
			t.Fatal("bytes depend on the order of the tensors")
		}
	})
}

func TestTypedValues(t *testing.T) {
	floats := []float32{0, float32(math.Copysign(0, -1)), 1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(-1))}
	ints := []int64{math.MinInt64, -1, 0, math.MaxInt64}
	bytes := []uint8{0, 127, 255}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	err := Write(path, &File{Tensors: []Tensor{
		Float32("f", []int{2, 3}, floats), Int64("i", []int{4}, ints), Uint8("u", []int{3, 1}, bytes),
	}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Float32("f", 2, 3); err != nil || !slices.Equal(got, floats) {
		t.Errorf("Float32 = %v, %v", got, err)
	}
	if got, err := f.Int64("i"); err != nil || !slices.Equal(got, ints) {
		t.Errorf("Int64 = %v, %v", got, err)
	}
	if got, err := f.Uint8("u", -1, 1); err != nil || !slices.Equal(got, bytes) {
		t.Errorf("Uint8 = %v, %v", got, err)
	}
	for _, c := range []struct {
		call func() error
		want string
	}{
		{func() error { _, err := f.Float32("g"); return err }, `no tensor "g" among the file's 3`},
		{func() error { _, err := f.Float32("u"); return err }, `tensor "u" holds U8, want F32`},
		{func() error { _, err := f.Int64("f"); return err }, `tensor "f" holds F32, want I64`},
		{func() error { _, err := f.Uint8("i"); return err }, `tensor "i" holds I64, want U8`},
		{func() error { _, err := f.Float32("f", 3, 2); return err }, `tensor "f" has shape [2 3], want [3 2]`},
		{func() error { _, err := f.Float32("f", 6); return err }, `tensor "f" has shape [2 3], want [6]`},
		{func() error {
			_, err := Tensor{Name: "t", DType: F32, Shape: []int{2}, Data: make([]byte, 7)}.Float32s()
			return err
		}, `F32 of shape [2] is 8 bytes, got 7`},
	} {
		if err := c.call(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestWriteRejects(t *testing.T) {
	one := func(ts ...Tensor) *File { return &File{Tensors: ts} }
	x := Uint8("x", []int{1}, []uint8{1})
	for want, f := range map[string]*File{
		`two tensors have the name "x"`:             one(x, x),
		"has no name":                               one(Uint8("", []int{1}, []uint8{1})),
		"reserved by the format":                    one(Uint8(metadataKey, []int{1}, []uint8{1})),
		"not valid UTF-8":                           one(Uint8("\xff", []int{1}, []uint8{1})),
		`metadata "k" is not valid UTF-8`:           {Metadata: map[string]string{"k": "\xff"}},
		"F32 of shape [2] is 8 bytes, got 4":        one(Float32("w", []int{2}, []float32{1})),
		"shape [-1] has a negative size":            one(Float32("w", []int{-1}, nil)),
		"more elements than an int can count":       one(Float32("w", []int{math.MaxInt, 2}, nil)),
		"more bytes than an int can count":          one(Float32("w", []int{math.MaxInt}, nil)),
		`tensor "w": unknown element type "FLOAT3"`: one(Tensor{Name: "w", DType: "FLOAT3", Shape: nil, Data: nil}),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.safetensors")
		if err := Write(path, f); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %q and the path", err, want)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v behind", want, left)
		}
	}
}

func TestWriteReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	for i := range 3 {
		if err := Write(path, &File{Tensors: []Tensor{Int64("i", nil, []int64{int64(i)})}}); err != nil {
			t.Fatal(err)
		}
		f, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Int64("i"); err != nil || got[0] != int64(i) {
			t.Fatalf("read %v, %v after writing %d", got, err, i)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("folder holds %v, want one file", left)
	}
	err := Write(filepath.Join(dir, "missing", "x"), &File{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that wraps %v", err, os.ErrNotExist)
	}
}

func TestParseRejects(t *testing.T) {
	four := make([]byte, 4)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "0 bytes are too few"},
		{"short", []byte{1, 2, 3}, "3 bytes are too few"},
		{"length beyond the end", binary.LittleEndian.AppendUint64(nil, 5), "should have 5 bytes but only 0 follow"},
		{"length beyond the limit", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "over the format's limit"},
		{"empty header", raw("", nil), "not a JSON object"},
		{"leading space", raw(" {}", nil), "not a JSON object"},
		{"array", raw("[]", nil), "not a JSON object"},
		{"invalid UTF-8", raw("{\"\xff\":1}", nil), "not a JSON object in UTF-8"},
		{"cut JSON", raw(`{"x":`, nil), "header"},
		{"two values", raw(`{}{}`, nil), "text follows the JSON object"},
		{"null tensor", raw(`{"x":null}`, nil), "found <nil>, want {"},
		{"unnamed tensor", raw(`{"":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, four), "has no name"},
		{"unknown key", raw(`{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"extra":1}}`, four), `"extra": is not a key`},
		{"other case", raw(`{"x":{"DType":"U8","shape":[4],"data_offsets":[0,4]}}`, four), `"DType": is not a key`},
		{"missing key", raw(`{"x":{"dtype":"U8","shape":[4]}}`, four), "lacks one of"},
		{"null shape", raw(`{"x":{"dtype":"U8","shape":null,"data_offsets":[0,4]}}`, four), "found <nil>, want ["},
		{"fraction", raw(`{"x":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}`, four), "found 4.0, want a whole number"},
		{"negative size", raw(`{"x":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}`, four), "found -4, want a whole number"},
		{"text as size", raw(`{"x":{"dtype":"U8","shape":["4"],"data_offsets":[0,4]}}`, four), "found 4, want a number"},
		{"one offset", raw(`{"x":{"dtype":"U8","shape":[4],"data_offsets":[0]}}`, four), "has 1 numbers, want 2"},
		{"metadata not text", raw(`{"__metadata__":{"a":1}}`, nil), "found 1, want a text"},
		{"name twice", raw(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"x":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, four), `"x" is given twice`},
		{"unknown type", raw(`{"x":{"dtype":"Q4","shape":[4],"data_offsets":[0,4]}}`, four), `unknown element type "Q4"`},
		{"wrong size", raw(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, four), "has 4 bytes; F32 of shape [2] has 8"},
		{"truncated", raw(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, four), "which has only 4; the file is truncated"},
		{"trailing bytes", raw(`{}`, four), "4 bytes after the last tensor"},
		{"gap", raw(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, four), "want it to begin at 0"},
		{"overlap", raw(`{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, four), "want it to begin at 4"},
		{"backwards", raw(`{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}`, four), "want it to begin at 0"},
		{"overflow", raw(`{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, nil), "more elements than an int can count"},
	} {
		_, err := Parse(c.file)
		var format *FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want a FormatError with %q", c.name, err, c.want)
		}
	}
}

// No proper part of a file passes for a file.
func TestTruncated(t *testing.T) {
	var b bytes.Buffer
	if err := Encode(&b, &File{Metadata: map[string]string{"a": "b"}, Tensors: []Tensor{Float32("x", []int{3}, []float32{1, 2, 3})}}); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		if _, err := Parse(b.Bytes()[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read without error", n, b.Len())
		}
	}
}

func TestReadNamesPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.safetensors")
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that wraps %v", err, os.ErrNotExist)
	}
	if err := os.WriteFile(path, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want the path", err)
	}
}

func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	file := &File{Metadata: map[string]string{"a": "b"}, Tensors: []Tensor{
		Float32("x", []int{1, 2}, []float32{1, 2}), Int64("y", nil, []int64{3}), Uint8("z", []int{0}, nil),
	}}
	if err := Encode(&b, file); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(raw(`{}`, nil))
	f.Add(raw(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  `, []byte{1}))
	f.Fuzz(func(t *testing.T, in []byte) {
		file, err := Parse(in)
		if err != nil {
			return
		}
		// What was accepted is valid content: it can be written, and what is written is read as the same.
		var out bytes.Buffer
		if err := Encode(&out, file); err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		again, err := Parse(out.Bytes())
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		byName := cmpopts.SortSlices(func(a, b Tensor) bool { return a.Name < b.Name })
		if diff := cmp.Diff(file, again, byName, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("changed on the way (-first +second):\n%s", diff)
		}
	})
}

// Data in pieces is written as the same data in one piece.
func TestPartsAreWrittenAsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "parts")
		whole := bytes.Join(parts, nil)
		shape := []int{len(whole)}
		other := Float32("other", []int{1}, []float32{1})
		var want, got bytes.Buffer
		if err := Encode(&want, &File{Tensors: []Tensor{Uint8("x", shape, whole), other}}); err != nil {
			t.Fatal(err)
		}
		if err := Encode(&got, &File{Tensors: []Tensor{{Name: "x", DType: U8, Shape: shape, Parts: parts}, other}}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Errorf("%q and %q", want.Bytes(), got.Bytes())
		}
		short := Tensor{Name: "x", DType: U8, Shape: []int{len(whole) + 1}, Parts: parts}
		if err := Encode(&got, &File{Tensors: []Tensor{short}}); err == nil {
			t.Error("parts that are too short were taken")
		}
	})
}
