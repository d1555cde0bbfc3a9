package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages"
)

// call runs a command in this process with the runtime that tests share. It returns what was printed on stdout and stderr.
func call(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	errors, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer errors.Close() //nolint:errcheck // only a test's notes
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: errors, registry: stages.Registry}
	a.runtime.open = runtimetest.Open(t)
	root := a.newRootCommand()
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	said, rerr := os.ReadFile(errors.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	return out.String(), string(said), err
}

// writePictures makes a folder of plain 6x6 pictures, three a class: red, green and blue ones in folders of their names. One
// that lies under red is green.
func writePictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	shades := map[string]color.RGBA{"red": {200, 20, 10, 255}, "green": {30, 180, 0, 255}, "blue": {0, 40, 220, 255}}
	for class := range shades {
		if err := os.Mkdir(filepath.Join(dir, class), 0o777); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"a.png", "b.png", "c.png"} {
			shade := shades[class]
			if class == "red" && i == 2 {
				shade = shades["green"]
			}
			im := image.NewRGBA(image.Rect(0, 0, 6, 6))
			for p := range 36 {
				im.Set(p%6, p/6, shade)
			}
			var b bytes.Buffer
			if err := png.Encode(&b, im); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, class, name), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// classifier is a small model that gives the mean of each channel as its score.
type classifier struct {
	nhwc     bool
	batch    int
	channels int
	softmax  bool
	second   bool // it also gives its scores times ten
	classes  []string
}

func (c classifier) write(t *testing.T) string {
	t.Helper()
	g := graph.New("brightest")
	shape, axes := []int{c.batch, c.channels, 6, 6}, []int{2, 3}
	if c.nhwc {
		shape, axes = []int{c.batch, 6, 6, c.channels}, []int{1, 2}
	}
	y := graph.ReduceMean(g.Input("images", graph.Float32, shape, ""), false, axes...)
	if c.softmax {
		y = graph.Softmax(y, 1)
	}
	g.Output("scores", y, "")
	if c.second {
		g.Output("more", graph.Mul(y, g.Scalar(10)), "")
	}
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c.classes != nil {
		names, err := json.Marshal(c.classes)
		if err != nil {
			t.Fatal(err)
		}
		onnx.SetMetadata(m, map[string]string{"classes": string(names)})
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func evaluated(t *testing.T, args ...string) *evaluation {
	t.Helper()
	out, _, err := call(t, append([]string{"evaluate", "--json", "--latency-runs", "20"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	e := new(evaluation)
	if err := json.Unmarshal([]byte(out), e); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return e
}

// The folder's classes are blue, green, red; the models' are red, green, blue.
func TestEvaluateAnyClassifier(t *testing.T) {
	pictures := writePictures(t)
	labels := filepath.Join(t.TempDir(), "labels.txt")
	if err := os.WriteFile(labels, []byte("Red\nGreen\nBlue\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	names := []string{"red", "green", "blue"}
	for name, c := range map[string]struct {
		model classifier
		args  []string
		how   string
	}{
		"channels first, names in the model": {classifier{batch: 1, channels: 3, classes: names}, []string{"--scale", "1"}, "names in the model"},
		"channels last, a file of names":     {classifier{batch: 1, channels: 3, nhwc: true}, []string{"--scale", "1", "--labels", labels}, labels},
		"blue first, by number":              {classifier{batch: 1, channels: 3}, []string{"--scale", "1", "--channels", "bgr", "--labels", "numbers"}, "numbers"},
		"batches of four, probabilities":     {classifier{batch: 4, channels: 3, softmax: true, classes: names}, []string{"--scale", "1"}, "names in the model"},
		"one of two outputs":                 {classifier{batch: 3, channels: 3, second: true, classes: names}, []string{"--scale", "1", "--output", "scores"}, "names in the model"},
	} {
		t.Run(name, func(t *testing.T) {
			e := evaluated(t, append([]string{c.model.write(t), "--dataset", "folder:" + pictures}, c.args...)...)
			if math.Abs(e.Top1-8.0/9) > 1e-9 || e.Top5 != 1 || e.Images != 9 || e.Split != "all" {
				t.Errorf("top1 %v, top5 %v of %d %s images", e.Top1, e.Top5, e.Images, e.Split)
			}
			// Pictures are plain, so their scores are the shades.
			want := 0.0
			for _, s := range [][4]float64{{200, 20, 10, 0}, {200, 20, 10, 0}, {30, 180, 0, 0}, {30, 180, 0, 1}, {30, 180, 0, 1}, {30, 180, 0, 1}, {0, 40, 220, 2}, {0, 40, 220, 2}, {0, 40, 220, 2}} {
				sum := 0.0
				for _, v := range s[:3] {
					sum += math.Exp(v / 255)
				}
				want += (math.Log(sum) - s[int(s[3])]/255) / 9
			}
			if math.Abs(e.Loss-want) > 1e-5 {
				t.Errorf("loss %v instead of %v", e.Loss, want)
			}
			scores := "logits"
			if c.model.softmax {
				scores = "probabilities"
			}
			if e.Scores != scores || e.ScoresFrom != "numbers" || e.Labels != c.how {
				t.Errorf("scores are %s by %s, labels by %s", e.Scores, e.ScoresFrom, e.Labels)
			}
			if l := e.Latency; l == nil || !(l.P50 > 0 && l.P90 >= l.P50 && l.P99 >= l.P90) {
				t.Errorf("latency %+v", e.Latency)
			}
			if d := cmp.Diff([][]int{{3, 0, 0}, {0, 3, 0}, {0, 1, 2}}, e.Confusion); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEvaluateSaysWhatIsMissing(t *testing.T) {
	pictures := writePictures(t)
	color := classifier{batch: 1, channels: 3}.write(t)
	folder := "folder:" + pictures
	for want, args := range map[string][]string{
		"--dataset is missing":                         {color},
		"there is no kind \"foldr\"; did you mean":     {color, "--dataset", "foldr:" + pictures},
		"want KIND:PATH":                               {color, "--dataset", pictures},
		"there is no file nowhere.onnx":                {"nowhere.onnx", "--dataset", folder},
		"give --scale 255 for pixels as they are":      {color, "--dataset", folder},
		"set channels to gray":                         {classifier{batch: 1, channels: 1}.write(t), "--dataset", folder, "--scale", "1"},
		"--channels must be":                           {color, "--dataset", folder, "--scale", "1", "--channels", "cmyk"},
		"the model has no class \"blue\"":              {classifier{batch: 1, channels: 3, classes: []string{"red", "green", "violet"}}.write(t), "--dataset", folder, "--scale", "1"},
		"several outputs that could hold the scores":   {classifier{batch: 1, channels: 3, second: true}.write(t), "--dataset", folder, "--scale", "1"},
		"do not fit as nhwc":                           {color, "--dataset", folder, "--scale", "1", "--layout", "nhwc", "--size", "6"},
		"mean has 2 and std 3 numbers":                 {color, "--dataset", folder, "--mean", "1,2"},
		"there is no split \"test\"":                   {color, "--dataset", folder, "--scale", "1", "--split", "test"},
		"reading class names: open nowhere.txt":        {color, "--dataset", folder, "--scale", "1", "--labels", "nowhere.txt"},
		"there is no split \"valid\"; use train, test": {color, "--dataset", folder, "--scale", "1", "--split", "valid"},
	} {
		_, _, err := call(t, append([]string{"evaluate"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("evaluate %s: %v does not say %q", strings.Join(args, " "), err, want)
		}
		var usage *usageError
		if strings.HasPrefix(want, "--") && !errors.As(err, &usage) {
			t.Errorf("%v is no usage error", err)
		}
	}
}

// A model of the ONNX model zoo that takes pixels as they are, on the test images that it was made for.
func TestEvaluateModelOfTheZoo(t *testing.T) {
	model := publicdata.Path(t, "onnx", "mnist-8", "model.onnx")
	mnist := filepath.Dir(publicdata.Path(t, "mnist", "t10k-images-idx3-ubyte.gz"))
	e := evaluated(t, model, "--dataset", "mnist:"+mnist, "--scale", "255")
	if math.Round(1000*e.Top1) != 989 || e.Images != 10000 || e.Parameters != 5994 || e.MultiplyAdds != 786560 {
		t.Errorf("top1 %v of %d images, %d parameters, %d multiply-adds", e.Top1, e.Images, e.Parameters, e.MultiplyAdds)
	}
	// Color pictures reach it as gray ones when it is asked for.
	_, _, err := call(t, "evaluate", model, "--dataset", "folder:"+writePictures(t), "--scale", "255", "--channels", "gray", "--labels", "numbers")
	if err != nil {
		t.Error(err)
	}
	all, _, err := call(t, "evaluate", classifier{batch: 1, channels: 3, classes: []string{"red", "green", "blue"}}.write(t), "--dataset", "folder:"+writePictures(t), "--scale", "1")
	if err != nil || !strings.Contains(all, "on 9 images of ") {
		t.Errorf("%v, %s", err, all)
	}
	text, _, err := call(t, "evaluate", model, "--dataset", "mnist:"+mnist, "--scale", "255", "--limit", "500")
	if err != nil || !strings.Contains(text, "on 500 test images of mnist (classes by numbers)") || !strings.Contains(text, "scores are logits, as its numbers look") {
		t.Errorf("%v, %s", err, text)
	}
}
