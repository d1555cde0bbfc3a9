package evaluate_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

func TestClassNamesOfModels(t *testing.T) {
	want := []string{"cat", "dog's", "bird"}
	for key, text := range map[string]string{
		"plateau.classes": `["cat","dog's","bird"]`,
		"classes":         `["cat","dog's","bird"]`,
		"names":           `{0: 'cat', 1: "dog's", 2: 'bird'}`,
	} {
		if d := cmp.Diff(want, evaluate.ModelClasses(map[string]string{key: text})); d != "" {
			t.Errorf("%s: %s", key, d)
		}
	}
	if got := evaluate.ModelClasses(map[string]string{"names": "none", "classes": "3"}); got != nil {
		t.Errorf("names %q where there are none", got)
	}
}

func TestFilesOfClassNames(t *testing.T) {
	for text, want := range map[string]any{
		"cat\r\ndog\n":                  []string{"cat", "dog"},
		`["cat", "dog"]`:                []string{"cat", "dog"},
		`{"0": "cat", "2": "dog"}`:      []string{"cat", "", "dog"},
		`{"cat": 1, "dog": 0}`:          []string{"dog", "cat"},
		` `:                             "the file is empty",
		`{"cat": 1, "dog": 1}`:          `score 1 has two names, "cat" and "dog"`,
		`{"cat": -1}`:                   `the entry "cat": -1`,
		`{"cat": true}`:                 `the entry "cat": true`,
		`{"0": "cat", "99999999": "x"}`: `the entry "99999999"`,
		`[1]`:                           "cannot unmarshal",
	} {
		path := filepath.Join(t.TempDir(), "labels")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := evaluate.ReadClasses(path)
		if message, wrong := want.(string); wrong {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: error %v does not say %q", text, err, message)
			}
		} else if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
}

func TestClassesAreMatchedByName(t *testing.T) {
	model := []string{"n01440764 tench, Tinca tinca", "n02123045 tabby, tabby cat", "great_white shark", "crane, bird", "crane", "tench press"}
	got, err := evaluate.MatchClasses(model, []string{"Great White-Shark", "n02123045", "tinca tinca", "crane"})
	if d := cmp.Diff([]int{2, 1, 0, 4}, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	_, err = evaluate.MatchClasses(append(model, "tabby"), []string{"tabbie", "tench", "Tinca tinca", "bird", "bird"})
	for _, want := range []string{`no class "tabbie"; the nearest is "tabby"`, `"tench" and "Tinca tinca" are both the model's class 0`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	_, err = evaluate.MatchClasses([]string{"a, x", "b, x"}, []string{"x"})
	if err == nil || !strings.Contains(err.Error(), `"x" could be the model's class 0`) {
		t.Error(err)
	}
}

// A model with more classes than the data set is right when the class's own score is the highest of all.
func TestModelWithOtherClasses(t *testing.T) {
	im := &dataset.Images{Count: 3, Channels: 3, Height: 2, Width: 4, Labels: []int64{0, 1, 1}}
	for _, bright := range []int{2, 0, 1} { // blue, red, green
		for c := range 3 {
			for range 8 {
				im.Pixels = append(im.Pixels, map[bool]uint8{true: 200, false: 50}[c == bright])
			}
		}
	}
	path := model{shape: []int64{-1, 3, 2, 4}}.write(t)
	m, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, []string{"blue", "red"}, options(func(o *evaluate.Options) { o.ClassMap = []int{2, 0} }))
	if err != nil {
		t.Fatal(err)
	}
	if m.Top1 != 2.0/3 || m.Confusion != nil {
		t.Errorf("top1 %v, confusion %v", m.Top1, m.Confusion)
	}
	for _, wrong := range [][]int{{0}, {0, 0}, {0, -1}, {0, 3}} {
		_, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, []string{"blue", "red"}, options(func(o *evaluate.Options) { o.ClassMap = wrong }))
		if err == nil {
			t.Errorf("the class map %v is accepted", wrong)
		}
	}
}

func TestImagesAreConverted(t *testing.T) {
	gray := &dataset.Images{Count: 3, Channels: 1, Height: 2, Width: 4, Labels: []int64{0, 0, 1}}
	for i := range 24 {
		gray.Pixels = append(gray.Pixels, uint8(10*i))
	}
	path := model{shape: []int64{-1, 3, 2, 4}}.write(t)
	measure := func(im *dataset.Images, c evaluate.Channels) (float64, error) {
		m, err := evaluate.Model(context.Background(), runtimetest.Open(t), path, im, colors, options(func(o *evaluate.Options) { o.Channels = c }))
		if err != nil {
			return 0, err
		}
		return m.Top1, nil
	}
	if _, err := measure(gray, ""); err == nil || !strings.Contains(err.Error(), "set channels to rgb or bgr") {
		t.Errorf("error %v", err)
	}
	// Three equal scores: the first class wins.
	if top1, err := measure(gray, evaluate.ChannelsRGB); err != nil || top1 != 2.0/3 {
		t.Errorf("top1 %v, %v", top1, err)
	}
	// Red and blue change places, green stays: images 1, 4 and 7 are green, and 9, a red one, is labeled so.
	if top1, err := measure(pictures(), evaluate.ChannelsBGR); err != nil || top1 != 0.3 {
		t.Errorf("top1 %v, %v", top1, err)
	}
	if _, err := measure(pictures(), "cmyk"); err == nil || !strings.Contains(err.Error(), "use auto, gray, rgb or bgr") {
		t.Errorf("error %v", err)
	}
	_, err := measure(pictures(), evaluate.ChannelsGray)
	if err == nil || !strings.Contains(err.Error(), "set channels to rgb or bgr") {
		t.Errorf("error %v", err)
	}
}

// Names that differ in their Unicode form alone are one.
func TestMatchClassesInAnyUnicodeForm(t *testing.T) {
	got, err := evaluate.MatchClasses([]string{"blue", "M\u00f6we"}, []string{"Mo\u0308we", "blue"})
	if err != nil || !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v, %v", got, err)
	}
}
