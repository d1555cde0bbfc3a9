package evaluate_test

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

var colors = []string{"red", "green", "blue"}

// pictures are 10 images of 3x2x4 whose brightest channel is their label, but for the last, which is mislabeled.
func pictures() *dataset.Images {
	im := &dataset.Images{Count: 10, Channels: 3, Height: 2, Width: 4}
	for i := range im.Count {
		label := i % 3
		for c := range 3 {
			for p := range 8 {
				v := uint8(10*c + p)
				if c == label {
					v += 100
				}
				im.Pixels = append(im.Pixels, v)
			}
		}
		if i == 9 {
			label = 1
		}
		im.Labels = append(im.Labels, int64(label))
	}
	return im
}

// model describes a classifier that gives the mean of each channel as its logit.
type model struct {
	dtype    onnx.TensorProto_DataType
	shape    []int64
	nhwc     bool
	softmax  bool
	metadata map[string]string
	output   []int64
}

func (c model) write(t *testing.T) string {
	t.Helper()
	g := &onnx.GraphProto{Name: "brightest"}
	if c.dtype == 0 {
		c.dtype = onnx.TensorProto_FLOAT
	}
	if c.output == nil {
		c.output = []int64{c.shape[0], 3}
	}
	g.Input = []*onnx.ValueInfoProto{onnx.NewValueInfo("x", c.dtype, c.shape, "")}
	g.Output = []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, c.output, "")}
	at := "x"
	then := func(op, to string, attrs ...*onnx.AttributeProto) {
		g.Node = append(g.Node, &onnx.NodeProto{OpType: op, Input: []string{at}, Output: []string{to}, Attribute: attrs})
		at = to
	}
	if c.dtype != onnx.TensorProto_FLOAT {
		then("Cast", "cast", onnx.IntAttribute("to", int64(onnx.TensorProto_FLOAT)))
	}
	axes := []int64{2, 3}
	if c.nhwc {
		axes = []int64{1, 2}
	}
	then("ReduceMean", "mean", onnx.IntsAttribute("axes", axes), onnx.IntAttribute("keepdims", 0))
	if c.softmax {
		then("Softmax", "shares", onnx.IntAttribute("axis", 1))
	}
	then("Identity", "y")
	m := &onnx.ModelProto{IrVersion: 8, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 17}}, Graph: g}
	onnx.SetMetadata(m, c.metadata)
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func options(change func(o *evaluate.Options)) evaluate.Options {
	o := evaluate.DefaultOptions()
	o.LatencyRuns, o.Batch, o.Dataset = 0, 4, "colors"
	o.Input = evaluate.InputPixels
	if change != nil {
		change(&o)
	}
	return o
}

// lossOf is the cross-entropy of pictures when the logits are means of the given numbers for pixels.
func lossOf(number func(c int, p float64) float64) float64 {
	im := pictures()
	var total float64
	for i := range im.Count {
		var sum, own float64
		for c := range 3 {
			var logit float64
			for p := range 8 {
				logit += number(c, float64(im.Pixels[(i*3+c)*8+p])) / 8
			}
			sum += math.Exp(logit)
			if int64(c) == im.Labels[i] {
				own = logit
			}
		}
		total += math.Log(sum) - own
	}
	return total / float64(im.Count)
}

// The same images reach the model as the numbers that it wants, whatever its layout, type and batch.
func TestImagesBecomeWhatTheModelTakes(t *testing.T) {
	pixel := func(_ int, p float64) float64 { return p }
	unit := func(_ int, p float64) float64 { return p / 255 }
	mean, std := []float32{0.1, 0.2, 0.3}, []float32{0.5, 0.6, 0.7}
	normal := func(c int, p float64) float64 { return (p/255 - float64(mean[c])) / float64(std[c]) }
	nchw := []int64{-1, 3, 2, 4}
	for name, c := range map[string]struct {
		model   model
		change  func(o *evaluate.Options)
		numbers func(c int, p float64) float64
	}{
		"pixels":             {model{shape: nchw}, nil, pixel},
		"unit":               {model{shape: nchw}, func(o *evaluate.Options) { o.Input = evaluate.InputUnit }, unit},
		"normalized by data": {model{shape: nchw}, func(o *evaluate.Options) { o.Input, o.DataMean, o.DataStd = evaluate.InputNormalized, mean, std }, normal},
		"custom": {model{shape: nchw}, func(o *evaluate.Options) {
			o.Input, o.Scale, o.Mean, o.Std = evaluate.InputCustom, 2, []float64{1, 2, 3}, []float64{4}
		}, func(c int, p float64) float64 { return (2*p - float64(c+1)) / 4 }},
		"rows before channels": {model{shape: []int64{-1, 2, 4, 3}, nhwc: true}, nil, pixel},
		"bytes":                {model{shape: nchw, dtype: onnx.TensorProto_UINT8}, func(o *evaluate.Options) { o.Input = evaluate.InputAuto }, pixel},
		"fixed batch":          {model{shape: []int64{4, 3, 2, 4}}, nil, pixel},
		"fixed batch of one":   {model{shape: []int64{1, 3, 2, 4}}, nil, pixel},
		"any size":             {model{shape: []int64{-1, 3, -1, -1}}, nil, pixel},
		"any size, nhwc":       {model{shape: []int64{-1, -1, -1, -1}, nhwc: true}, func(o *evaluate.Options) { o.Layout = evaluate.LayoutNHWC }, pixel},
		"as the metadata say":  {model{shape: nchw, metadata: map[string]string{evaluate.KeyInput: "unit"}}, func(o *evaluate.Options) { o.Input = evaluate.InputAuto }, unit},
		"normalized by itself": {model{shape: nchw, metadata: map[string]string{evaluate.KeyInput: "normalized", evaluate.KeyNormalization: `{"mean":[0.1,0.2,0.3],"std":[0.5,0.6,0.7]}`}}, func(o *evaluate.Options) { o.Input = evaluate.InputAuto }, normal},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := evaluate.Model(context.Background(), runtimetest.Open(t), c.model.write(t), pictures(), colors, options(c.change))
			if err != nil {
				t.Fatal(err)
			}
			if want := lossOf(c.numbers); math.Abs(m.Loss-want) > 1e-5*max(1, want) {
				t.Errorf("loss %v instead of %v", m.Loss, want)
			}
			if m.Top1 != 0.9 || m.Top5 != 1 || m.Count != 10 {
				t.Errorf("top1 %v, top5 %v of %d", m.Top1, m.Top5, m.Count)
			}
		})
	}
}

func TestEverythingThatIsMeasured(t *testing.T) {
	path := model{shape: []int64{-1, 3, 2, 4}, metadata: map[string]string{evaluate.KeyParameters: "12"}}.write(t)
	var progress []int
	m, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, pictures(), colors, options(func(o *evaluate.Options) {
		o.LatencyRuns, o.LatencyWarmUp = 7, 1
		o.Progress = func(done, total int) { progress = append(progress, done, total) }
	}))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Latency == nil || !(m.Latency.P50 > 0 && m.Latency.P95 >= m.Latency.P50 && m.Latency.Mean > 0) {
		t.Errorf("latency %+v", m.Latency)
	}
	if m.Throughput == nil || m.Throughput.Batch != 4 || !(m.Throughput.ImagesPerSecond > 0) {
		t.Errorf("throughput %+v", m.Throughput)
	}
	rt := runtimetest.Open(t)
	m.Latency, m.Throughput, m.Loss = nil, nil, 0
	want := &result.Metrics{
		Model: "brightest", Dataset: "colors", Split: "test", Count: 10, Top1: 0.9, Top5: 1, Parameters: 12, SizeBytes: info.Size(),
		PerClass:  []result.ClassTop1{{Class: "red", Count: 3, Top1: 1}, {Class: "green", Count: 4, Top1: 0.75}, {Class: "blue", Count: 3, Top1: 1}},
		Confusion: [][]int{{3, 0, 0}, {1, 3, 0}, {0, 0, 3}},
		Right:     []byte{0xff, 0x01}, // all but the last
		// The interval is of scipy 1.17: Clopper and Pearson's of the classes, put together as Zou and Donner say.
		Balanced: &result.Balanced{Top1: 2.75 / 3, Low: 0.5350920673136288, High: 0.9978968455967633, Largest: "green", Share: 0.4, Smallest: 3, Most: 4},
		Mistakes: []result.Mistake{{Image: 9, True: "green", Predicted: "red", Probability: 1}},
		Provider: rt.Provider(), Threads: rt.Threads(), Library: rt.LibraryVersion(), Scores: "logits", ScoresFrom: "numbers",
	}
	if d := cmp.Diff(want, m, cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{4, 10, 8, 10, 10, 10}, progress); d != "" {
		t.Error(d)
	}
}

func TestProbabilitiesAreRecognized(t *testing.T) {
	shape := []int64{-1, 3, 2, 4}
	unit := func(o *evaluate.Options) { o.Input = evaluate.InputUnit }
	want := lossOf(func(_ int, p float64) float64 { return p / 255 })
	for name, c := range map[string]model{
		"logits":           {shape: shape},
		"by their numbers": {shape: shape, softmax: true},
		"by the metadata":  {shape: shape, softmax: true, metadata: map[string]string{evaluate.KeyOutput: "probabilities"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := evaluate.Model(context.Background(), runtimetest.Open(t), c.write(t), pictures(), colors, options(unit))
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(m.Loss-want) > 1e-5 {
				t.Errorf("loss %v instead of %v", m.Loss, want)
			}
		})
	}
	m, err := evaluate.Model(context.Background(), runtimetest.Open(t), model{shape: shape, softmax: true}.write(t), pictures(), colors, options(func(o *evaluate.Options) {
		o.Input, o.Scores = evaluate.InputUnit, evaluate.ScoresLogits
	}))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(m.Loss-want) < 1e-3 {
		t.Error("the setting scores: logits is not heeded")
	}
}

func TestWhatIsNoClassifierIsSaid(t *testing.T) {
	nchw := []int64{-1, 3, 2, 4}
	for name, c := range map[string]struct {
		model  model
		images func(im *dataset.Images)
		change func(o *evaluate.Options)
		want   string
	}{
		"another image size":  {model{shape: []int64{-1, 3, 8, 8}}, nil, nil, "its input is x float32 [? 3 8 8], which the data set's images of 3 channels, 2x4 pixels do not fit"},
		"another layout":      {model{shape: nchw}, nil, func(o *evaluate.Options) { o.Layout = evaluate.LayoutNHWC }, "do not fit as nhwc"},
		"numbers not known":   {model{shape: nchw}, nil, func(o *evaluate.Options) { o.Input = evaluate.InputAuto }, "set input to pixels"},
		"odd metadata":        {model{shape: nchw, metadata: map[string]string{evaluate.KeyInput: "waves"}}, nil, func(o *evaluate.Options) { o.Input = evaluate.InputAuto }, `plateau.input = "waves"`},
		"odd normalization":   {model{shape: nchw, metadata: map[string]string{evaluate.KeyNormalization: `{"mean":[0],"std":[1]}`}}, nil, func(o *evaluate.Options) { o.Input = evaluate.InputNormalized }, "with 1 means"},
		"other classes":       {model{shape: nchw, output: []int64{-1, 7}}, nil, nil, "no classifier for 3 classes: it gives y float32 [? 7]"},
		"no such output":      {model{shape: nchw}, nil, func(o *evaluate.Options) { o.Output = "z" }, `it has no output "z"; it gives y float32 [? 3]`},
		"label out of range":  {model{shape: nchw}, func(im *dataset.Images) { im.Labels[2] = 3 }, nil, "image 2 has the label 3"},
		"no images":           {model{shape: nchw}, func(im *dataset.Images) { *im = dataset.Images{} }, nil, "no images"},
		"floats where bytes":  {model{shape: nchw, dtype: onnx.TensorProto_UINT8}, nil, func(o *evaluate.Options) { o.Input = evaluate.InputUnit }, "cannot be unit"},
		"an input of doubles": {model{shape: nchw, dtype: onnx.TensorProto_DOUBLE}, nil, nil, "its input is x float64 [? 3 2 4]"},
		"an input of halves":  {model{shape: nchw, dtype: onnx.TensorProto_FLOAT16}, nil, nil, "its input is x float16 [? 3 2 4]; only models that take float32 or uint8 images can be measured"},
		"not a number":        {model{shape: nchw}, nil, func(o *evaluate.Options) { o.Input, o.Scale = evaluate.InputCustom, math.NaN() }, "the score of image 0 for class 0 is NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			im := pictures()
			if c.images != nil {
				c.images(im)
			}
			_, err := evaluate.Model(context.Background(), runtimetest.Open(t), c.model.write(t), im, colors, options(c.change))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// mnist-8 of the ONNX model zoo on the test images of MNIST: a model that is not ours, on images that it was made for.
func TestForeignModel(t *testing.T) {
	path := publicdata.Path(t, "onnx", "mnist-8", "model.onnx")
	im := &dataset.Images{Count: 2000, Channels: 1, Height: 28, Width: 28}
	im.Pixels = idx(t, publicdata.Path(t, "mnist", "t10k-images-idx3-ubyte.gz"), 3)[:im.Count*28*28]
	for _, l := range idx(t, publicdata.Path(t, "mnist", "t10k-labels-idx1-ubyte.gz"), 1)[:im.Count] {
		im.Labels = append(im.Labels, int64(l))
	}
	var classes []string
	for i := range 10 {
		classes = append(classes, fmt.Sprint(i))
	}
	m, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, classes, options(func(o *evaluate.Options) { o.Input, o.LatencyRuns = evaluate.InputUnit, 5 }))
	if err != nil {
		t.Fatal(err)
	}
	if m.Top1 < 0.97 || m.Top5 < 0.999 || m.Loss > 0.2 {
		t.Errorf("top1 %v, top5 %v, loss %v", m.Top1, m.Top5, m.Loss)
	}
	if m.Parameters != 5994 || m.MultiplyAdds != 8*25*28*28+16*8*25*14*14+256*10 {
		t.Errorf("%d parameters, %d multiply-adds", m.Parameters, m.MultiplyAdds)
	}
}

// idx reads a gzipped file of the MNIST format with the given number of dimensions.
func idx(t *testing.T, path string, rank int) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil || len(data) < 4+4*rank || binary.BigEndian.Uint32(data) != uint32(0x800+rank) {
		t.Fatalf("%s is no MNIST file of rank %d (%v)", path, rank, err)
	}
	return data[4+4*rank:]
}

func TestStage(t *testing.T) {
	dir := t.TempDir()
	im := pictures()
	d := &dataset.Dataset{Name: "colors", Source: "test", Classes: colors, Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}, Train: im, Valid: &dataset.Images{Channels: 3, Height: 2, Width: 4}, Test: im}
	path := filepath.Join(dir, "dataset.safetensors")
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	kind := evaluate.Kind(runtimetest.Opener(t))
	job := pipeline.NewJob(pipeline.JobConfig{
		ID: "evaluate", Scratch: dir,
		Inputs:  map[string]pipeline.Artifact{"dataset": {Path: path}, "model": {Path: model{shape: []int64{-1, 3, 2, 4}, metadata: map[string]string{evaluate.KeyInput: "unit"}}.write(t)}},
		Outputs: map[string]string{"metrics": filepath.Join(dir, "metrics.json")},
	})
	s := kind.New()
	if err := s.(pipeline.Validator).Validate(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	m, err := result.ReadMetrics(filepath.Join(dir, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, v := range job.Metrics() {
		got[v.Name] = v.Value
	}
	if got["test_top1"] != 0.9 || got["test_loss"] != m.Loss || got["latency_ms"] != m.Latency.P50 {
		t.Errorf("metrics %v of %+v", got, m)
	}
	if low, high := got["test_top1_low"], got["test_top1_high"]; !(0 < low && low < 0.9 && 0.9 < high && high < 1) {
		t.Errorf("the interval of %v on %d images is %v to %v", m.Top1, m.Count, low, high)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for want, change := range map[string]func(s *evaluate.Settings){
		"split":           func(s *evaluate.Settings) { s.Split = "tests" },
		"batch":           func(s *evaluate.Settings) { s.Batch = 0 },
		"input":           func(s *evaluate.Settings) { s.Input = "pixel" },
		"layout":          func(s *evaluate.Settings) { s.Layout = "hwc" },
		"scores":          func(s *evaluate.Settings) { s.Scores = "shares" },
		"latency_runs":    func(s *evaluate.Settings) { s.LatencyRuns = -1 },
		"latency_warm_up": func(s *evaluate.Settings) { s.LatencyWarmUp = -1 },
		"std":             func(s *evaluate.Settings) { s.Input, s.Std = evaluate.InputCustom, []float64{0} },
		"scale":           func(s *evaluate.Settings) { s.Input, s.Scale = evaluate.InputCustom, 0 },
	} {
		s := evaluate.DefaultSettings()
		change(&s)
		var setting *pipeline.SettingError
		if err := s.Validate(); !errors.As(err, &setting) || setting.Path != want {
			t.Errorf("%v is no error about %s", err, want)
		}
	}
	s := evaluate.DefaultSettings()
	s.Mean = []float64{1}
	if s.Validate() == nil {
		t.Error("a mean that nothing uses is accepted")
	}
	s = evaluate.DefaultSettings()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := evaluate.Model(ctx, runtimetest.Open(t), model{shape: []int64{-1, 3, 2, 4}}.write(t), pictures(), colors, options(nil))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
