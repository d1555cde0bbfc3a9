package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// every operation of the space, and a node that is read twice.
const everything = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"

// trained is a network as the stage train leaves it, with weights and statistics that nothing has trained.
type trained struct {
	dir  string
	data *dataset.Dataset
	net  supernet.Network
}

func newTrained(t testing.TB, architecture string) trained {
	t.Helper()
	return newTrainedOn(t, architecture, 3, nil)
}

// newTrainedOn is newTrained on images of some channels, as if they were read from pictures with the view.
func newTrainedOn(t testing.TB, architecture string, channels int, view *dataset.View) trained {
	t.Helper()
	settings := dataset.DefaultSettings()
	settings.Size, settings.TrainImages, settings.TestImages = 16, 40, 20
	d, err := dataset.Make(context.Background(), settings, 1)
	if err != nil {
		t.Fatal(err)
	}
	d.View = view
	if channels == 1 {
		d.Mean, d.Std = d.Mean[:1], d.Std[:1]
		for _, im := range []*dataset.Images{d.Train, d.Valid, d.Test} {
			reds, plane := make([]uint8, 0, len(im.Pixels)/3), im.Height*im.Width
			for i := range im.Count {
				reds = append(reds, im.Pixels[3*i*plane:][:plane]...)
			}
			im.Channels, im.Pixels = 1, reds
		}
	}
	tr := trained{dir: t.TempDir(), data: d, net: supernet.Network{Space: "nasbench201", Architecture: architecture, Macro: supernet.MacroFor(d, 4, 1)}}
	parameters, running, err := tr.net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	weights, statistics := parameters.Initialize(r), running.Initialize(r)
	for i := range weights {
		weights[i] += 0.2 * (r.Float32() - 0.5) // scales and biases of normalizations, too
	}
	for i := range statistics {
		statistics[i] += 0.5 * r.Float32()
	}
	err = supernet.SaveWeights(tr.path("weights"), nil, supernet.Vector{Index: parameters, Data: weights}, supernet.Vector{Index: running, Data: statistics})
	if err != nil {
		t.Fatal(err)
	}
	if err := supernet.WriteNetwork(tr.path("network"), tr.net); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(tr.path("dataset")); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr trained) path(name string) string { return filepath.Join(tr.dir, name) }

// export runs the stage and returns its job and the path of the model.
func (tr trained) export(t testing.TB, change func(s *Settings), more ...string) (*pipeline.Job, string, error) {
	t.Helper()
	out := t.TempDir()
	inputs := map[string]pipeline.Artifact{}
	for _, port := range append([]string{"network", "weights", "dataset"}, more...) {
		inputs[port] = pipeline.Artifact{Path: tr.path(port)}
	}
	kind, outputs := Kind(runtimetest.Opener(t)), map[string]string{}
	for _, o := range kind.Outputs {
		outputs[o.Name] = filepath.Join(out, o.File)
	}
	job := pipeline.NewJob(pipeline.JobConfig{ID: "export", Scratch: out, Inputs: inputs, Outputs: outputs})
	s := kind.New().(*stage)
	if change != nil {
		change(&s.Settings)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	err := s.Run(context.Background(), job)
	return job, job.Output("model"), err
}

func TestExport(t *testing.T) {
	tr := newTrained(t, everything)
	own, around := -0.5, -0.6123456789
	sp, err := space.ByName(tr.net.Space)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := sp.Parse(everything)
	if err != nil {
		t.Fatal(err)
	}
	found := result.NewArchitecture(sp, arch)
	found.Algorithm, found.OwnScore, found.NeighborhoodScore = "neighborhood", &own, &around
	if err := result.WriteArchitecture(tr.path("architecture"), found); err != nil {
		t.Fatal(err)
	}
	if err := result.WriteTrainHistory(tr.path("history"), []result.TrainEpoch{{Epoch: 1, LR: 0.1, TrainLoss: 2, TrainAccuracy: 0.2}, {Epoch: 2, LR: 0.05, TrainLoss: 1.5, TrainAccuracy: 0.4}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(s *Settings)
		output string
		ops    []string // that stand before and behind the network
	}{
		"pixels to logits":             {nil, "logits", []string{"Sub", "Div", "Softmax"}},
		"unit to logits":               {func(s *Settings) { s.Input = evaluate.InputUnit }, "logits", []string{"Sub", "Div", "Softmax"}},
		"normalized to logits":         {func(s *Settings) { s.Input = evaluate.InputNormalized }, "logits", []string{"Softmax"}},
		"pixels to probabilities":      {func(s *Settings) { s.Softmax = true }, "probabilities", []string{"Sub", "Div", "Softmax"}},
		"a batch larger than the test": {func(s *Settings) { s.Batch = 1000 }, "logits", []string{"Sub", "Div", "Softmax"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, path, err := tr.export(t, c.change, "architecture", "history")
			if err != nil {
				t.Fatal(err)
			}
			m, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			count := map[string]int{}
			for _, n := range m.Graph.Node {
				count[n.GetOpType()]++
			}
			for _, op := range []string{"Sub", "Div", "Softmax"} {
				want := 0
				for _, x := range c.ops {
					if x == op {
						want = 1
					}
				}
				if count[op] != want {
					t.Errorf("%d nodes %s instead of %d", count[op], op, want)
				}
			}
			// Those behind a convolution are folded; the last one normalizes a sum and becomes Mul and Add.
			if count["BatchNormalization"] != 0 || count["Mul"] != 1 || count["Identity"] != 0 {
				t.Errorf("left %v", count)
			}
			if got := m.Graph.Input[0]; got.GetName() != "images" || !cmp.Equal(got.Shape(), []int64{-1, 3, 16, 16}) || len(m.Graph.Input) != 1 {
				t.Errorf("input %v", got)
			}
			outputs, want := []string{}, []string{c.output}
			if c.output == "logits" {
				want = append(want, "probabilities")
			}
			for _, o := range m.Graph.Output {
				if outputs = append(outputs, o.GetName()); !cmp.Equal(o.Shape(), []int64{-1, 10}) {
					t.Errorf("output %v", o)
				}
			}
			if !cmp.Equal(outputs, want) {
				t.Errorf("outputs %v instead of %v", outputs, want)
			}
			checks, err := result.ReadChecks(filepath.Join(filepath.Dir(path), "checks.json"))
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, c := range checks.Checks {
				names = append(names, c.Name)
				if !c.Passed {
					t.Errorf("%s: %s", c.Name, c.Detail)
				}
			}
			want = []string{CheckParityOne, CheckParity, CheckSoftmax, CheckBatch, CheckDecoder, CheckMetadata}
			if c.output == "probabilities" {
				want = slices.Delete(want, 2, 3)
			}
			if !cmp.Equal(want, names) {
				t.Errorf("checks %v instead of %v", names, want)
			}
			// What the model says of itself is enough to measure it, and gives what it says.
			metrics, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, tr.data.Test, tr.data.Classes, evaluate.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			props := onnx.Metadata(m)
			var said struct {
				Top1 float64 `json:"test_top1"`
				Loss float64 `json:"test_loss"`
			}
			if err := json.Unmarshal([]byte(props[KeyMetrics]), &said); err != nil {
				t.Fatal(err)
			}
			if d := metrics.Loss - said.Loss; metrics.Top1 != said.Top1 || d > 1e-4 || d < -1e-4 {
				t.Errorf("the model says %+v, measured are %v and %v", said, metrics.Top1, metrics.Loss)
			}
		})
	}
}

// Architectures at the edges of the space: nothing passes, nothing is convolved, everything is.
func TestExportOfExtremeArchitectures(t *testing.T) {
	for _, text := range []string{
		"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
		"|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", // a convolution that leads nowhere
		"|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
		"|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|",
	} {
		t.Run(text, func(t *testing.T) {
			if _, _, err := newTrained(t, text).export(t, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMetadataOfTheModel(t *testing.T) {
	tr := newTrained(t, everything)
	_, path, err := tr.export(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	props := onnx.Metadata(m)
	parameters, _, err := tr.net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	classes, err := json.Marshal(dataset.ShapeClasses())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		KeySpace: "nasbench201", KeyArchitecture: everything, KeyScores: "{}",
		KeyMacro:               `{"channels":4,"cells":1,"classes":10,"image":[3,16,16]}`,
		evaluate.KeyClasses:    string(classes),
		evaluate.KeyInput:      "pixels",
		evaluate.KeyOutput:     "logits",
		evaluate.KeyView:       `{"center":1,"stored":false}`,
		evaluate.KeyParameters: strconv.Itoa(parameters.Total()),
	} {
		if props[key] != want {
			t.Errorf("%s is %q instead of %q", key, props[key], want)
		}
	}
	for key, want := range map[string]string{KeyDataset: `"train":20,"valid":20`, evaluate.KeyNormalization: `{"mean":[`, KeyMetrics: `"test_images":20`} {
		if !strings.Contains(props[key], want) {
			t.Errorf("%s is %q, without %q", key, props[key], want)
		}
	}
	if m.GetProducerName() != "plateau" || m.GetProducerVersion() == "" {
		t.Errorf("producer %q %q", m.GetProducerName(), m.GetProducerVersion())
	}
}

func TestEqualInputsGiveEqualBytes(t *testing.T) {
	tr := newTrained(t, everything)
	var files [2][]byte
	for i := range files {
		_, path, err := tr.export(t, nil)
		if err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two exports of one network differ")
	}
}

// Each check is given a file with the mistake that it is there to find.
func TestAFileThatIsNotMeantFailsItsCheck(t *testing.T) {
	tr := newTrained(t, everything)
	_, reference, err := load(tr.path("network"), tr.path("weights"))
	if err != nil {
		t.Fatal(err)
	}
	original, err := onnx.Encode(reference)
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultSettings()
	good, err := build(reference, tr.data, s, s.outputs())
	if err != nil {
		t.Fatal(err)
	}
	onnx.SetMetadata(good, map[string]string{"a": "b"})
	for name, c := range map[string]struct {
		change func(m *onnx.ModelProto)
		failed []string
	}{
		"nothing": {func(*onnx.ModelProto) {}, nil},
		"a weight": {func(m *onnx.ModelProto) {
			for i, x := range m.Graph.Initializer {
				if x.GetName() == "classifier.bias" || strings.HasSuffix(x.GetName(), ".bias") {
					v, err := x.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					v[0] += 0.5
					m.Graph.Initializer[i] = onnx.NewFloat32(x.GetName(), x.GetDims(), v)
				}
			}
		}, []string{CheckParityOne, CheckParity}},
		"statistics of the batch": {func(m *onnx.ModelProto) {
			at := slices.IndexFunc(m.Graph.Node, func(n *onnx.NodeProto) bool { return n.Output[0] == "logits" })
			last := m.Graph.Node[at].Output[0]
			m.Graph.Node[at].Output[0] = "before"
			m.Graph.Node = slices.Insert(m.Graph.Node, at+1,
				&onnx.NodeProto{OpType: "ReduceMean", Input: []string{"before"}, Output: []string{"mean"}, Attribute: []*onnx.AttributeProto{onnx.IntsAttribute("axes", []int64{0})}},
				&onnx.NodeProto{OpType: "Sub", Input: []string{"before", "mean"}, Output: []string{last}})
		}, []string{CheckParityOne, CheckParity, CheckBatch}},
		"a fixed batch": {func(m *onnx.ModelProto) {
			m.Graph.Input[0] = onnx.NewValueInfo("images", onnx.TensorProto_FLOAT, []int64{1, 3, 16, 16}, "")
			m.Graph.Output[0] = onnx.NewValueInfo("logits", onnx.TensorProto_FLOAT, []int64{1, 10}, "")
		}, []string{CheckParity, CheckSoftmax, CheckBatch}},
		"other probabilities": {func(m *onnx.ModelProto) {
			last := m.Graph.Node[len(m.Graph.Node)-1]
			last.OpType, last.Attribute = "Sigmoid", nil
		}, []string{CheckSoftmax}},
		"something the decoder does not know": {func(m *onnx.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, &onnx.TensorProto{Name: "flags", Dims: []int64{1}, DataType: int32(onnx.TensorProto_BOOL), RawData: []byte{1}})
		}, []string{CheckDecoder}},
		"metadata": {func(m *onnx.ModelProto) { onnx.SetMetadata(m, map[string]string{"a": "c"}) }, []string{CheckMetadata}},
	} {
		t.Run(name, func(t *testing.T) {
			m := proto.Clone(good).(*onnx.ModelProto)
			c.change(m)
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			checks, err := (&checker{runtime: runtimetest.Open(t), path: path, reference: original, images: tr.data.Test, data: tr.data, settings: s, metadata: onnx.Metadata(good)}).run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var failed []string
			for _, f := range checks.Failed() {
				failed = append(failed, f.Name)
			}
			if d := cmp.Diff(c.failed, failed); d != "" {
				t.Errorf("%s%+v", d, checks.Checks)
			}
			if err := failure(checks); (err == nil) != (len(failed) == 0) || err != nil && !strings.Contains(err.Error(), failed[0]) {
				t.Errorf("the error %v does not name %v", err, failed)
			}
		})
	}
}

func TestInputsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(tr *trained) error
		ports  []string
		want   string
	}{
		"another data set": {func(tr *trained) error {
			s := dataset.DefaultSettings()
			s.Size, s.TrainImages, s.TestImages = 20, 20, 10
			d, err := dataset.Make(context.Background(), s, 1)
			if err != nil {
				return err
			}
			return d.Save(tr.path("dataset"))
		}, nil, "give export the data set that the network was trained on"},
		"another architecture": {func(tr *trained) error {
			sp := space.NASBench201()
			return result.WriteArchitecture(tr.path("architecture"), result.NewArchitecture(sp, make(space.Architecture, 6)))
		}, []string{"architecture"}, "connect the input architecture"},
		"weights of another network": {func(tr *trained) error {
			n := tr.net
			n.Channels = 8
			return supernet.WriteNetwork(tr.path("network"), n)
		}, nil, "loading weights"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrained(t, everything)
			if err := c.change(&tr); err != nil {
				t.Fatal(err)
			}
			_, _, err := tr.export(t, nil, c.ports...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// The public tables give parameters and multiply-adds of every architecture at C=16, N=5 on CIFAR-10. They count the
// bias of the linear layer among the multiply-adds; we do not.
func TestCostAgreesWithThePublicTable(t *testing.T) {
	rows := publicdata.Rows(t, "nasbench201", "cost.csv")
	s := space.NASBench201()
	tested := 0
	for i := 0; i < len(rows) && tested < 12; i += 97 {
		text := rows[i]["arch"]
		if strings.Contains(text, "none") {
			continue // the tables also count convolutions whose result nothing uses; our graphs leave them out
		}
		tested++
		n := supernet.Network{Space: s.Name, Architecture: text, Macro: supernet.Macro{Channels: 16, Cells: 5, Classes: 10, Image: [3]int{3, 32, 32}}}
		parameters, running, err := n.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		m, err := n.Inference(make([]float32, parameters.Total()), make([]float32, running.Total()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := rewrite.CostOf(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := [2]string{rows[i]["cifar10_params"], rows[i]["cifar10_flops_nb201"]}
		if got := [2]string{fmt.Sprint(c.Parameters), fmt.Sprint(c.MultiplyAdds + 10)}; got != want {
			t.Errorf("%s: parameters and multiply-adds %v instead of %v", text, got, want)
		}
	}
	if tested < 5 {
		t.Errorf("only %d architectures of %d were tested", tested, len(rows))
	}
}
