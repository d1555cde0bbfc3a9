package stages_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

// shipped is a run of a shipped document.
type shipped struct {
	outputs map[string]string  // path by STAGE.NAME
	metrics map[string]float64 // by STAGE.NAME
}

// checkModel fails the test unless the exported model is the trained network without its auxiliary head, has passed every
// check, and is measured.
func (s shipped) checkModel(t *testing.T) {
	t.Helper()
	checks, err := result.ReadChecks(s.outputs["export.checks"])
	if err != nil {
		t.Fatal(err)
	}
	if len(checks.Checks) < 5 || len(checks.Failed()) > 0 {
		t.Errorf("checks %+v", checks.Checks)
	}
	net, err := supernet.ReadNetwork(s.outputs["train.network"])
	if err != nil {
		t.Fatal(err)
	}
	parameters, _, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	if n := float64(parameters.Total()); s.metrics["train.parameters"] != n || s.metrics["evaluate.parameters"] != n || !(s.metrics["evaluate.multiply_adds"] > n) {
		t.Errorf("%v parameters in all, metrics %v", n, s.metrics)
	}
	if top1, ok := s.metrics["evaluate.test_top1"]; !ok || top1 < 0 || top1 > 1 {
		t.Errorf("the test accuracy is %v", top1)
	}
	m, err := onnx.Load(s.outputs["export.model"])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.GetGraph().GetNode() {
		if strings.Contains(n.GetName(), "auxiliary") {
			t.Errorf("the exported model has %s", n.GetName())
		}
	}
	for _, x := range m.GetGraph().GetInitializer() {
		if strings.Contains(x.GetName(), "auxiliary") {
			t.Errorf("the exported model has %s", x.GetName())
		}
	}
}

// auxiliaryTensors counts the tensors of the auxiliary head among the trained weights.
func (s shipped) auxiliaryTensors(t *testing.T) int {
	t.Helper()
	f, err := safetensors.Read(s.outputs["train.weights"])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range f.Names() {
		if strings.Contains(name, "auxiliary") {
			n++
		}
	}
	return n
}

// rates returns the learning rate at the end of each epoch.
func (s shipped) rates(t *testing.T) []float64 {
	t.Helper()
	rows, err := result.ReadTrainHistory(s.outputs["train.history"])
	if err != nil {
		t.Fatal(err)
	}
	var out []float64
	for _, r := range rows {
		out = append(out, r.LR)
	}
	return out
}

// writeCIFAR writes files of records in the binary version of CIFAR: labels in turn, and noise.
func writeCIFAR(t *testing.T, records int, names string, classes []int, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		var b []byte
		for i := range records {
			for _, n := range classes {
				b = append(b, byte(i%n))
			}
			for range 3 * 32 * 32 {
				b = append(b, byte(rng.IntN(256)))
			}
		}
		write(file, b)
	}
	var text strings.Builder
	for c := range classes[len(classes)-1] {
		fmt.Fprintf(&text, "class %d\n", c)
	}
	write(names, []byte(text.String()))
	return dir
}

// writePictures writes noise as one folder a class below dir.
func writePictures(t *testing.T, count int, dir ...string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, uint64(len(dir[0]))))
	folder := filepath.Join(dir...)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		im := image.NewNRGBA(image.Rect(0, 0, 150+10*i, 140))
		for p := range im.Pix {
			im.Pix[p] = byte(rng.IntN(256)) | byte(255*(p%4/3))
		}
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCIFAR100Document(t *testing.T) {
	dir := writeCIFAR(t, 120, "fine_label_names.txt", []int{20, 100}, "train.bin", "test.bin")
	res := runShipped(t, "cifar100", "data.path="+dir, "data.train_images=32", "data.test_images=8",
		"variables.candidates=12", "variables.bounds=[1, 0.5]", "scores.evaluator.network.channels=2", "scores.evaluator.network.image_size=8", "scores.evaluator.proxy.images=8", "search.evaluator.training.epochs=2", "search.evaluator.training.budgets=[1]",
		"search.evaluator.training.budget.multiply_adds=2e6", "search.evaluator.training.training.batch=8", "train.channels=2", "train.epochs=1", "train.budget.most_channels=4", "train.budget.most_cells=1", "train.budget.least_steps=1", "train.training.batch=8", "export.batch=4", "evaluate.latency_runs=1")
	res.checkModel(t)
	found, err := result.ReadArchitecture(res.outputs["search.architecture"])
	if err != nil || found.Space != "nasbench201" {
		t.Errorf("%+v, %v", found, err)
	}
	d, err := dataset.Load(res.outputs["data.dataset"])
	if err != nil || len(d.Classes) != 100 {
		t.Errorf("%d classes, %v", len(d.Classes), err)
	}
}

// The document for one's own images trains the largest cell and a plain network beside its winner when it is asked to, and the report
// says what that shows.
func TestImagesDocumentWithBaselines(t *testing.T) {
	root := t.TempDir()
	for _, class := range []string{"cat", "dog", "hen"} {
		writePictures(t, 20, root, class)
	}
	settings := []string{"data.path=" + root, "data.size=16", "variables.candidates=10", "variables.bounds=[1]", "scores.evaluator.network.channels=2", "scores.evaluator.network.image_size=8", "scores.evaluator.proxy.images=8",
		"variables.epochs=1", "variables.short_epochs=[1, 2]", "search.evaluator.training.budget.multiply_adds=700000", "variables.multiply_adds=1500000", "variables.baseline_multiply_adds=2000000", "evaluate.latency_runs=1"}
	plain := runShipped(t, "images", settings...)
	if plain.outputs["train_largest.network"] != "" || plain.outputs["resnet9.architecture"] != "" {
		t.Error("baselines are trained without being asked for")
	}
	// Each of the 60 images is tested once; a learning curve is made on request.
	folds, err := result.ReadFolds(plain.outputs["folds.folds"])
	if err != nil || folds.K != 5 || folds.Metrics.Count != 60 || plain.outputs["curve.curve"] != "" {
		t.Errorf("%+v, %v", folds, err)
	}
	res := runShipped(t, "images", append(settings, "variables.baselines=true", "variables.curve=true", "evaluate_largest.latency_runs=1", "evaluate_resnet9.latency_runs=1")...)
	res.checkModel(t)
	for stage, want := range map[string]string{"train_resnet9": "resnet9", "train_largest": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"} {
		net, err := supernet.ReadNetwork(res.outputs[stage+".network"])
		if err != nil || net.Architecture != want {
			t.Errorf("%s trained %+v: %v", stage, net, err)
		}
	}
	page, err := os.ReadFile(res.outputs["report.report"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Did the search pay?", "<b>largest</b>", "<b>resnet9</b>", "as far as 12 test images can show", "Would more pictures help?", "Cross-validation"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestCIFAR10RetrainDocument(t *testing.T) {
	files := []string{"test_batch.bin"}
	for i := range 5 {
		files = append(files, fmt.Sprintf("data_batch_%d.bin", i+1))
	}
	dir := writeCIFAR(t, 10, "batches.meta.txt", []int{10}, files...)
	res := runShipped(t, "cifar10-retrain", "data.path="+dir, "data.train_images=12", "data.test_images=8",
		"train.channels=2", "train.cells=3", "train.epochs=2", "train.training.batch=4", "export.batch=4", "evaluate.latency_runs=1")
	res.checkModel(t)
	if n := res.auxiliaryTensors(t); n == 0 {
		t.Error("there was no auxiliary head")
	}
	// Of the cosine over two epochs, epoch by epoch.
	if got := res.rates(t); !slices.Equal(got, []float64{0.025, 0.0125}) {
		t.Errorf("learning rates %v", got)
	}
	found, err := result.ReadArchitecture(res.outputs["architecture.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	// What a run has left can be trained again.
	again := runShipped(t, "cifar10-retrain", "data.path="+dir, "data.train_images=8", "data.test_images=8", "architecture.path="+res.outputs["architecture.architecture"],
		"train.channels=2", "train.cells=1", "train.auxiliary=0", "train.epochs=1", "train.training.batch=4", "export.batch=4", "evaluate.latency_runs=1")
	net, err := supernet.ReadNetwork(again.outputs["train.network"])
	if err != nil || net.Architecture != found.Architecture {
		t.Errorf("%+v, %v", net, err)
	}
}

func TestImageNetRetrainDocument(t *testing.T) {
	root := t.TempDir()
	for _, class := range []string{"n01440764", "n01443537"} {
		writePictures(t, 2, root, "train", class)
		writePictures(t, 1, root, "val", class)
	}
	// The auxiliary head is made for images of 224 pixels.
	res := runShipped(t, "imagenet-retrain", "data.path="+root, "train.channels=2", "train.cells=3", "train.epochs=2", "train.training.batch=2", "export.batch=2", "evaluate.latency_runs=1")
	res.checkModel(t)
	if n := res.auxiliaryTensors(t); n == 0 {
		t.Error("there was no auxiliary head")
	}
	if got := res.rates(t); !slices.Equal(got, []float64{0.1, 0.1 * 0.97}) {
		t.Errorf("learning rates %v", got)
	}
	d, err := dataset.Load(res.outputs["data.dataset"])
	if err != nil || d.Train.Height != 256 || d.Test.Height != 224 {
		t.Errorf("%+v, %v", d, err)
	}
}

// At full size the documents train the networks of the reference code: by its numbers of parameters, without the head.
func TestRecipesTrainTheReferenceNetworks(t *testing.T) {
	for _, c := range []struct {
		document, genotype string
		classes, size      int
		parameters         int
	}{
		{"cifar10-retrain", "DARTS_V2", 10, 32, 3349342},
		{"cifar10-retrain", "DARTS_V1", 10, 32, 3169414},
		{"imagenet-retrain", "DARTS_V2", 1000, 224, 4718752},
	} {
		text, err := configs.Read(c.document)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Stages struct {
				Train struct{ Settings yaml.RawMessage }
			}
		}
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		s := train.DefaultSettings()
		if err := yaml.Unmarshal(doc.Stages.Train.Settings, &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		sp := space.DARTS()
		a, err := sp.Parse(c.genotype)
		if err != nil {
			t.Fatal(err)
		}
		d := &dataset.Dataset{Classes: make([]string, c.classes), Test: &dataset.Images{Channels: 3, Height: c.size, Width: c.size}}
		net, err := s.Network(sp, sp.Format(a), d)
		if err != nil {
			t.Fatal(err)
		}
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		if index.Total() != c.parameters {
			t.Errorf("%s of %s has %d parameters, the reference %d", c.document, c.genotype, index.Total(), c.parameters)
		}
	}
}

func TestOwnSpaceDocument(t *testing.T) {
	res := runShipped(t, "own-space", "data.train_images=64", "data.test_images=20", "supernet.channels=2", "supernet.training.batch=16", "search.epochs=2", "search.weights.warm_up=1",
		"search.candidates=4", "supernet.score_batch=8", "search.score_images=8", "neighborhood.score_images=8", "train.channels=2", "train.epochs=1", "train.training.batch=16", "evaluate.latency_runs=1")
	if _, err := os.Stat(res.outputs["export.model"]); err != nil || res.metrics["evaluate.multiply_adds"] == 0 {
		t.Errorf("no model was measured: %v", err)
	}
	found, err := result.ReadArchitecture(res.outputs["neighborhood.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	s, a, err := found.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.Collect(s.All())); n != 3125 {
		t.Errorf("the space has %d architectures", n)
	}
	if n := len(s.Neighbors(a, 1)); n != 20 { // 5 edges with 4 other operations each
		t.Errorf("%d neighbors of %v", n, a)
	}
}
