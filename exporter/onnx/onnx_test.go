package onnx_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

// model is y = x + w in a branch, with all kinds of attributes.
func model() *onnx.ModelProto {
	large := make([]float32, 5000)
	for i := range large {
		large[i] = float32(i) / 7
	}
	branch := &onnx.GraphProto{Name: "branch", Node: []*onnx.NodeProto{{OpType: "Add", Input: []string{"x", "w"}, Output: []string{"b"}}},
		Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("b", onnx.TensorProto_FLOAT, []int64{5000}, "")}}
	return &onnx.ModelProto{
		IrVersion: onnx.IRVersion, ProducerName: "plateau", OpsetImport: []*onnx.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph: &onnx.GraphProto{
			Name: "net",
			Node: []*onnx.NodeProto{{OpType: "If", Input: []string{"cond"}, Output: []string{"y"}, Attribute: []*onnx.AttributeProto{
				onnx.GraphAttribute("then_branch", branch), onnx.GraphAttribute("else_branch", branch), onnx.IntAttribute("zero", 0), onnx.FloatAttribute("alpha", 0.5),
				onnx.StringAttribute("mode", "linear"), onnx.IntsAttribute("pads", []int64{0, 1}), onnx.FloatsAttribute("scales", []float32{1, 2}),
				onnx.TensorAttribute("value", onnx.NewFloat32("", nil, []float32{3})),
			}}},
			Initializer: []*onnx.TensorProto{onnx.NewFloat32("w", []int64{5000}, large), onnx.NewInt64("small", []int64{2}, []int64{1, -2})},
			Input:       []*onnx.ValueInfoProto{onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 5000}, "the input"), onnx.NewValueInfo("cond", onnx.TensorProto_BOOL, nil, "")},
			Output:      []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, []int64{5000}, "")},
		},
	}
}

func TestModelSurvivesItsFile(t *testing.T) {
	for name, threshold := range map[string]int64{"inside": 0, "never outside": -1, "outside": 100} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			m := model()
			if err := onnx.Save(path, m, onnx.SaveOptions{ExternalThreshold: threshold}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(model(), m, protocmp.Transform()); diff != "" {
				t.Errorf("Save changed the model: %s", diff)
			}
			got, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			info, err := os.Stat(path + ".data")
			if outside := err == nil; outside != (threshold > 0) {
				t.Errorf("there is a data file: %v", outside)
			} else if outside && info.Size() != 20000 {
				t.Errorf("the data file has %d bytes; only the tensor of 20000 is large", info.Size())
			}
		})
	}
}

func TestExternalTensorsAreAligned(t *testing.T) {
	m := model()
	m.Graph.Initializer = append(m.Graph.Initializer, onnx.NewFloat32("v", []int64{300}, make([]float32, 300)))
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(path, m, onnx.SaveOptions{ExternalThreshold: 1}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []string
	for _, t := range raw.Graph.Initializer {
		for _, e := range t.ExternalData {
			if e.Key == "offset" {
				offsets = append(offsets, e.Value)
			}
		}
	}
	if diff := cmp.Diff([]string{"0", "20480"}, offsets); diff != "" {
		t.Error(diff)
	}
	if _, err := raw.Graph.Initializer[0].Float32s(); err == nil || !strings.Contains(err.Error(), "is in another file; use Load") {
		t.Errorf("reading an unresolved tensor: %v", err)
	}
	got, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestEqualModelsGiveEqualBytes(t *testing.T) {
	build := func() []byte {
		m := model()
		onnx.SetMetadata(m, map[string]string{"c": "3", "a": "1", "b": "2"})
		data, err := onnx.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if !bytes.Equal(build(), build()) {
		t.Error("two encodings of one model differ")
	}
}

// external writes a model whose one tensor lies where the entries say, beside a data file of ten bytes.
func external(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secretsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "inside")
	if err := os.MkdirAll(filepath.Join(inside, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inside, "data"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("../secret", filepath.Join(inside, "link")); err != nil {
			t.Fatal(err)
		}
	}
	tensor := &onnx.TensorProto{Name: "w", Dims: []int64{1}, DataType: int32(onnx.TensorProto_FLOAT), DataLocation: onnx.TensorProto_EXTERNAL}
	for i := 0; i < len(entries); i += 2 {
		tensor.ExternalData = append(tensor.ExternalData, &onnx.StringStringEntryProto{Key: entries[i], Value: entries[i+1]})
	}
	data, err := onnx.Encode(&onnx.ModelProto{Graph: &onnx.GraphProto{Initializer: []*onnx.TensorProto{tensor}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(inside, "model.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsOnlyBelowTheModelsFolder(t *testing.T) {
	for name, c := range map[string]struct {
		entries []string
		want    string
	}{
		"parent":            {[]string{"location", "../secret"}, `location "../secret" is not a path below the model's folder`},
		"hidden parent":     {[]string{"location", "folder/../../secret"}, "is not a path below"},
		"absolute":          {[]string{"location", "/etc/passwd"}, "is not a path below"},
		"empty":             {nil, `location "" is not a path below`},
		"symbolic link":     {[]string{"location", "link"}, "escapes"},
		"folder":            {[]string{"location", "folder"}, "folder is not a file"},
		"missing":           {[]string{"location", "nothing"}, "nothing"},
		"behind the end":    {[]string{"location", "data", "offset", "11"}, "data has 10 bytes"},
		"over the end":      {[]string{"location", "data", "offset", "8", "length", "4"}, "data has 10 bytes, but 4 from offset 8 are wanted"},
		"overflow":          {[]string{"location", "data", "offset", "1", "length", "9223372036854775807"}, "data has 10 bytes"},
		"negative offset":   {[]string{"location", "data", "offset", "-1"}, `offset "-1" is not a size`},
		"length not number": {[]string{"location", "data", "length", "four"}, `length "four" is not a size`},
	} {
		if name == "symbolic link" && runtime.GOOS == "windows" {
			continue
		}
		path := external(t, c.entries...)
		if _, err := onnx.Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `external data of tensor "w"`) {
			t.Errorf("%s: error %v does not contain %q and the tensor", name, err, c.want)
		}
	}
	m, err := onnx.Load(external(t, "location", "data", "offset", "2", "length", "4"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Graph.Initializer[0].RawData); got != "2345" {
		t.Errorf("read %q, want 2345", got)
	}
}

func TestLoadBringsInTensorsOfSubgraphs(t *testing.T) {
	path := external(t, "location", "data", "length", "4")
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	outside := func() *onnx.TensorProto {
		return &onnx.TensorProto{Name: "v", Dims: []int64{1}, DataType: int32(onnx.TensorProto_FLOAT), DataLocation: onnx.TensorProto_EXTERNAL,
			ExternalData: []*onnx.StringStringEntryProto{{Key: "location", Value: "data"}, {Key: "length", Value: "4"}}}
	}
	m.Graph.Node = []*onnx.NodeProto{{OpType: "If", Attribute: []*onnx.AttributeProto{
		onnx.GraphAttribute("then_branch", &onnx.GraphProto{Initializer: []*onnx.TensorProto{outside()}}), onnx.TensorAttribute("value", outside()),
	}}}
	if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if m, err = onnx.Load(path); err != nil {
		t.Fatal(err)
	}
	for i, v := range []*onnx.TensorProto{m.Graph.Node[0].Attribute[0].G.Initializer[0], m.Graph.Node[0].Attribute[1].T} {
		if _, err := v.Float32s(); err != nil {
			t.Errorf("tensor %d: %v", i, err)
		}
	}
}

func TestDecodeRefusesOtherFiles(t *testing.T) {
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("hello, world"), "truncated": func() []byte {
		data, err := onnx.Encode(model())
		if err != nil {
			t.Fatal(err)
		}
		return data[:len(data)/2]
	}()} {
		if _, err := onnx.Decode(data); err == nil || !strings.Contains(err.Error(), "decoding ONNX model of") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.onnx")
	if _, err := onnx.Load(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
}

func TestTensorsKeepTheirElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floats := rapid.SliceOf(rapid.Float32()).Draw(t, "floats")
		got, err := onnx.NewFloat32("f", []int64{int64(len(floats))}, floats).Float32s()
		if err != nil || len(got) != len(floats) {
			t.Fatal(err, len(got))
		}
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(floats[i]) {
				t.Fatalf("element %d is %v, want %v", i, got[i], floats[i])
			}
		}
		ints := rapid.SliceOf(rapid.Int64()).Draw(t, "ints")
		back, err := onnx.NewInt64("i", []int64{int64(len(ints))}, ints).Int64s()
		if err != nil || !cmp.Equal(append([]int64{}, ints...), back) {
			t.Fatal(err, back)
		}
	})
	typed := &onnx.TensorProto{Name: "t", Dims: []int64{2}, DataType: int32(onnx.TensorProto_FLOAT), FloatData: []float32{1, 2}}
	if got, err := typed.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2}) {
		t.Errorf("typed field: %v, %v", got, err)
	}
}

func TestTensorsAreChecked(t *testing.T) {
	f := func(change func(*onnx.TensorProto)) *onnx.TensorProto {
		v := onnx.NewFloat32("w", []int64{2}, []float32{1, 2})
		change(v)
		return v
	}
	for want, v := range map[string]*onnx.TensorProto{
		"holds INT64, not FLOAT":                        onnx.NewInt64("w", nil, []int64{1}),
		"has 7 bytes, not a multiple of 4":              f(func(v *onnx.TensorProto) { v.RawData = v.RawData[:7] }),
		"of shape [3] holds 2 elements instead of 3":    f(func(v *onnx.TensorProto) { v.Dims = []int64{3} }),
		"has the negative dimension -2":                 f(func(v *onnx.TensorProto) { v.Dims = []int64{-2} }),
		"declares more elements than fit":               f(func(v *onnx.TensorProto) { v.Dims = []int64{1 << 40, 1 << 40} }),
		"of shape [2] holds 0 elements instead of 2":    f(func(v *onnx.TensorProto) { v.RawData = nil }),
		`tensor "w" of shape [0] holds 2 elements inst`: f(func(v *onnx.TensorProto) { v.Dims = []int64{0} }),
	} {
		if _, err := v.Float32s(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
}

func TestMetadataIsOrderedAndReplaced(t *testing.T) {
	m := &onnx.ModelProto{MetadataProps: []*onnx.StringStringEntryProto{{Key: "z", Value: "1"}, {Key: "a", Value: "2"}}}
	onnx.SetMetadata(m, map[string]string{"m": "3", "a": "4"})
	var got []string
	for _, p := range m.MetadataProps {
		got = append(got, p.Key+"="+p.Value)
	}
	if diff := cmp.Diff([]string{"a=4", "m=3", "z=1"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "4", "m": "3", "z": "1"}, onnx.Metadata(m)); diff != "" {
		t.Error(diff)
	}
}

func TestShapesOfValues(t *testing.T) {
	v := onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 3, 0}, "")
	if diff := cmp.Diff([]int64{-1, 3, 0}, v.Shape()); diff != "" {
		t.Error(diff)
	}
	if got := new(onnx.ValueInfoProto).Shape(); got != nil {
		t.Errorf("a value without a shape has %v", got)
	}
	if got := onnx.NewValueInfo("s", onnx.TensorProto_FLOAT, nil, "").Shape(); got == nil || len(got) != 0 {
		t.Errorf("a scalar has the shape %#v", got)
	}
}

func TestOpsetOf(t *testing.T) {
	if v, err := onnx.OpsetOf(model()); v != onnx.Opset || err != nil {
		t.Errorf("OpsetOf = %d, %v", v, err)
	}
	other := &onnx.ModelProto{OpsetImport: []*onnx.OperatorSetIdProto{{Domain: "com.microsoft", Version: 1}}}
	if _, err := onnx.OpsetOf(other); err == nil {
		t.Error("a model without the standard operators has an opset")
	}
}

// TestAnotherProducersModel loads a model that plateau has not made, and keeps what its subset of the schema leaves out.
func TestAnotherProducersModel(t *testing.T) {
	path := publicdata.Path(t, "onnx/mnist-8/model.onnx")
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Node) == 0 || len(m.Graph.Input) == 0 || len(m.Graph.Output) != 1 {
		t.Errorf("%d nodes, %d inputs, %d outputs", len(m.Graph.Node), len(m.Graph.Input), len(m.Graph.Output))
	}
	if diff := cmp.Diff([]int64{1, 1, 28, 28}, m.Graph.Input[0].Shape()); diff != "" {
		t.Error(diff)
	}
	count := 0
	for _, v := range m.Graph.Initializer {
		if v.DataType == int32(onnx.TensorProto_FLOAT) {
			data, err := v.Float32s()
			if err != nil {
				t.Error(err)
			}
			count += len(data)
		}
	}
	if count != 5994 {
		t.Errorf("%d weights, want 5994", count)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(m, again) {
		t.Error("the model changed when written and read again")
	}
}

func FuzzDecode(f *testing.F) {
	small := model()
	small.Graph.Initializer = small.Graph.Initializer[1:]
	data, err := onnx.Encode(small)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:100])
	f.Add([]byte{0x3a, 0x00})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode(data)
		if err != nil {
			return
		}
		for _, v := range m.Graph.Initializer {
			// Any error will do, a panic or a huge allocation not.
			_, _ = v.Float32s()
			_, _ = v.Int64s()
		}
		for _, v := range append(m.Graph.Input, m.Graph.Output...) {
			v.Shape()
		}
		onnx.Metadata(m)
		if _, err := onnx.Encode(m); err != nil {
			t.Errorf("decoded, but not encoded again: %v", err)
		}
		path := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = onnx.Load(path)
	})
}
