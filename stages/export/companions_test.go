package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// exported runs the stage and returns the folder that it leaves.
func (tr trained) exported(t testing.TB, change func(*Settings)) string {
	t.Helper()
	_, path, err := tr.export(t, change)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path)
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFilesBesideTheModel(t *testing.T) {
	tr := newTrained(t, everything)
	tr.data.View = &dataset.View{Center: 0.875, Stored: true}
	if err := tr.data.Save(tr.path("dataset")); err != nil {
		t.Fatal(err)
	}
	folder := tr.exported(t, nil)
	if got, want := read(t, filepath.Join(folder, "labels.txt")), strings.Join(dataset.ShapeClasses(), "\n")+"\n"; got != want {
		t.Errorf("labels %q instead of %q", got, want)
	}
	var got Preprocessing
	if err := json.Unmarshal([]byte(read(t, filepath.Join(folder, "preprocess.json"))), &got); err != nil {
		t.Fatal(err)
	}
	if got.Picture == nil || got.Picture.Center != 0.875 || got.Picture.Orientation != "stored" || got.Picture.Size != 16 || got.Input.Name != "images" || len(got.Outputs) != 2 {
		t.Errorf("preprocessing %+v, picture %+v", got, got.Picture)
	}
	if d := cmp.Diff(PreprocessingValue{Scale: 1, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, got.Value); d != "" {
		t.Error(d)
	}
	card := read(t, filepath.Join(folder, "MODEL.md"))
	for _, want := range []string{
		"# Classifier of shapes\n", "| number | class |", "95% interval", "of that the middle, 0.875 of the side", "20 training images, 20 validation images and 20 test images",
		"plateau predict . photo.jpg", "fewer than 30 test images", "`probabilities`, float32 [batch, 10]",
	} {
		if !strings.Contains(card, want) {
			t.Errorf("the card does not say %q:\n%s", want, card)
		}
	}
	if strings.Contains(card, "%!") || strings.Contains(card, "turned upright") {
		t.Errorf("the card:\n%s", card)
	}
	for _, c := range companions() {
		if len(read(t, filepath.Join(folder, c.output.File))) == 0 {
			t.Errorf("%s is empty", c.output.File)
		}
	}
}

// The numbers in preprocess.json follow the input that the settings ask for.
func TestPreprocessingOfInputs(t *testing.T) {
	tr := newTrained(t, "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
	for input, scale := range map[evaluate.Input]float64{evaluate.InputPixels: 1, evaluate.InputUnit: 1.0 / 255, evaluate.InputNormalized: 1.0 / 255} {
		folder := tr.exported(t, func(s *Settings) { s.Input, s.Softmax = input, true })
		var got Preprocessing
		if err := json.Unmarshal([]byte(read(t, filepath.Join(folder, "preprocess.json"))), &got); err != nil {
			t.Fatal(err)
		}
		mean, std := 0.0, 1.0
		if input == evaluate.InputNormalized {
			mean, std = float64(tr.data.Mean[2]), float64(tr.data.Std[2])
		}
		if v := got.Value; v.Scale != scale || v.Mean[2] != mean || v.Std[2] != std || len(got.Outputs) != 1 {
			t.Errorf("%s: %+v", input, got)
		}
	}
}

// What stands in a name is text and no Markdown.
func TestNamesInTheCard(t *testing.T) {
	if got, want := cell("a|b_c\nd`<x>"), "a\\|b\\_c d\\`\\<x>"; got != want {
		t.Errorf("%q instead of %q", got, want)
	}
}
