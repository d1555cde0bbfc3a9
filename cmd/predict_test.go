package cmd

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// shadesOf are the plain colors of writePictures, by what they are named.
func shadesOf(name string) [3]float64 {
	return map[string][3]float64{"red": {200, 20, 10}, "green": {30, 180, 0}, "blue": {0, 40, 220}}[name]
}

// softmaxOf gives the probability of channel c where the scores are the shades times the scale.
func softmaxOf(shades [3]float64, c int, scale float64) float64 {
	sum := 0.0
	for _, v := range shades {
		sum += math.Exp(v / 255 * scale)
	}
	return math.Exp(shades[c]/255*scale) / sum
}

func TestPredictAnyClassifier(t *testing.T) {
	pictures := writePictures(t)
	labels := filepath.Join(t.TempDir(), "labels.txt")
	if err := os.WriteFile(labels, []byte("Red\nGreen\nBlue\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	names := []string{"red", "green", "blue"}
	for name, c := range map[string]struct {
		model classifier
		args  []string
		names []string // of red, green and blue
		scale float64
	}{
		"names in the model":             {classifier{batch: 1, channels: 3, classes: names}, []string{"--scale", "1"}, names, 1},
		"channels last, a file of names": {classifier{batch: 1, channels: 3, nhwc: true}, []string{"--scale", "1", "--labels", labels}, []string{"Red", "Green", "Blue"}, 1},
		"numbers where there are names":  {classifier{batch: 1, channels: 3, classes: names}, []string{"--scale", "2", "--labels", "numbers"}, []string{"0", "1", "2"}, 2},
		"blue first":                     {classifier{batch: 1, channels: 3}, []string{"--scale", "1", "--channels", "bgr"}, []string{"2", "1", "0"}, 1},
		"fixed batches of four":          {classifier{batch: 4, channels: 3, classes: names}, []string{"--std", "0.5"}, names, 2},
		"probabilities as they are":      {classifier{batch: 1, channels: 3, softmax: true, classes: names}, []string{"--scale", "1"}, names, 1},
		"one of two outputs":             {classifier{batch: 1, channels: 3, second: true, classes: names}, []string{"--scale", "1", "--output", "more"}, names, 10},
	} {
		t.Run(name, func(t *testing.T) {
			out, said, err := call(t, append([]string{"predict", c.model.write(t), pictures, "--format", "json"}, c.args...)...)
			if err != nil {
				t.Fatalf("%v %s", err, said)
			}
			var got predictions
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Pictures) != 9 || len(got.Failed) != 0 {
				t.Fatalf("%d pictures and %d failures", len(got.Pictures), len(got.Failed))
			}
			for _, p := range got.Pictures {
				shown := filepath.Base(filepath.Dir(p.Picture))
				if shown == "red" && filepath.Base(p.Picture) == "c.png" {
					shown = "green"
				}
				if want := c.names[slices.Index(names, shown)]; p.Classes[0].Class != want {
					t.Errorf("%s is %s, want %s", p.Picture, p.Classes[0].Class, want)
				}
				for _, g := range p.Classes {
					want := softmaxOf(shadesOf(shown), slices.Index(c.names, g.Class), c.scale)
					if math.Abs(g.Probability-want) > 1e-5 {
						t.Errorf("%s: %s has the probability %v, want %v", p.Picture, g.Class, g.Probability, want)
					}
				}
			}
		})
	}
}

func TestPredictFormats(t *testing.T) {
	pictures := writePictures(t)
	model := classifier{batch: 1, channels: 3, classes: []string{"red", "green", "blue"}}.write(t)
	picture := filepath.Join(pictures, "blue", "b.png")
	text, _, err := call(t, "predict", model, picture, "--scale", "1", "--top", "2")
	share := strconv.FormatFloat(100*softmaxOf(shadesOf("blue"), 2, 1), 'f', 2, 64) + "%"
	if rows := strings.Split(text, "\n"); err != nil || strings.Join(strings.Fields(rows[0]), " ") != "picture class probability 2." || !strings.HasPrefix(strings.Join(strings.Fields(rows[1]), " "), picture+" blue "+share+" green ") {
		t.Errorf("%v, %s, want %s", err, text, share)
	}
	text, _, err = call(t, "predict", model, picture, "--scale", "1", "--format", "csv", "--top", "0")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	if d := cmp.Diff([]string{picture, "1", "blue", "2", strconv.FormatFloat(softmaxOf(shadesOf("blue"), 2, 1), 'f', 6, 64)}, rows[1]); d != "" {
		t.Error(d)
	}
}

func TestPredictReadsStandardInput(t *testing.T) {
	picture, err := os.ReadFile(filepath.Join(writePictures(t), "green", "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: os.Stderr, stdin: bytes.NewReader(picture), registry: stages.Registry}
	a.runtime.open = runtimetest.Open(t)
	root := a.newRootCommand()
	root.SetArgs([]string{"predict", classifier{batch: 1, channels: 3, classes: []string{"red", "green", "blue"}}.write(t), "-", "--scale", "1", "--format", "csv", "--top", "1"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "-,1,green,1,0.") {
		t.Error(out.String())
	}
}

// One bad file among good ones is said, and the others are classified.
func TestPredictGoesOnBehindBadFiles(t *testing.T) {
	pictures := writePictures(t)
	write := func(name, text string) string {
		path := filepath.Join(pictures, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	words, empty, bare := write("words.png", "these are words"), write("empty.png", ""), t.TempDir()
	model := classifier{batch: 1, channels: 3, classes: []string{"red", "green", "blue"}}.write(t)
	out, said, err := call(t, "predict", model, words, empty, "nowhere.jpg", bare, filepath.Join(pictures, "red"), "--scale", "1", "--format", "json")
	var usage *usageError
	if err == nil || !strings.Contains(err.Error(), "4 of 7 pictures could not be classified") || errors.As(err, &usage) {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{
		"error: " + words + ": not a ", "error: " + empty + ": the file is empty", "error: nowhere.jpg: there is no such file", "error: " + bare + ": the folder holds no ", "save it from there as PNG or JPEG",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%s does not say %q", said, want)
		}
	}
	var got predictions
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Pictures) != 3 || len(got.Failed) != 4 {
		t.Errorf("%v, %s", err, out)
	}
}

func TestPredictSaysWhatIsMissing(t *testing.T) {
	picture := filepath.Join(writePictures(t), "red", "a.png")
	color := classifier{batch: 1, channels: 3}.write(t)
	for want, args := range map[string][]string{
		"there is no file nowhere.onnx":           {"nowhere.onnx", picture},
		"holds no model.onnx":                     {filepath.Dir(picture), picture},
		"give --scale 255 for pixels as they are": {color, picture},
		"--top -1": {color, picture, "--scale", "1", "--top", "-1"},
		"there is no format \"jsn\"; did you mean":    {color, picture, "--scale", "1", "--format", "jsn"},
		"--channels must be":                          {color, picture, "--scale", "1", "--channels", "cmyk"},
		"--center 2":                                  {color, picture, "--scale", "1", "--center", "2"},
		"can be named once":                           {color, "-", "-", "--scale", "1"},
		"several outputs that could hold the scores":  {classifier{batch: 1, channels: 3, second: true}.write(t), picture, "--scale", "1"},
		"no classifier for the 2 classes":             {classifier{batch: 1, channels: 3, classes: []string{"a", "b"}}.write(t), picture, "--scale", "1"},
		"--labels: reading class names: open nowhere": {color, picture, "--scale", "1", "--labels", "nowhere.txt"},
		"mean has 2 and std 3 numbers":                {color, picture, "--mean", "1,2"},
		"do not fit as nhwc":                          {color, picture, "--scale", "1", "--layout", "nhwc", "--size", "6"},
	} {
		_, _, err := call(t, append([]string{"predict"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("predict %s: %v does not say %q", strings.Join(args, " "), err, want)
		}
	}
}

// A model of the ONNX model zoo takes gray images; a picture of the brightness of MNIST's first test image, a 7, reaches it as such.
func TestPredictByModelOfTheZoo(t *testing.T) {
	model := publicdata.Path(t, "onnx", "mnist-8", "model.onnx")
	mnist := filepath.Dir(publicdata.Path(t, "mnist", "t10k-images-idx3-ubyte.gz"))
	folder := writeDigits(t, mnist, 20)
	out, said, err := call(t, "predict", model, folder, "--scale", "255", "--format", "json", "--top", "1")
	if err != nil {
		t.Fatalf("%v %s", err, said)
	}
	var got predictions
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, p := range got.Pictures {
		if strings.HasSuffix(filepath.Base(p.Picture), "-"+p.Classes[0].Class+".png") {
			right++
		}
	}
	if right < 19 || len(got.Pictures) != 20 {
		t.Errorf("%d of %d digits are right", right, len(got.Pictures))
	}
}

// writeDigits makes a folder of the first n test images of MNIST as PNG files named NUMBER-LABEL.png.
func writeDigits(t *testing.T, mnist string, n int) string {
	t.Helper()
	s, err := dataset.ReadSplit(t.Context(), dataset.SplitOptions{Source: dataset.SourceIDX, Path: mnist})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range n {
		var b bytes.Buffer
		if err := png.Encode(&b, s.Images.Image(i)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d-%d.png", i, s.Images.Labels[i])), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
