package dataset

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// runStage runs the stage kind with the settings and returns the dataset's file and what was said.
func runStage(t *testing.T, s Settings, from uint64) (file string, said []event.Event) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "dataset.safetensors")
	var lock sync.Mutex
	job := pipeline.NewJob(pipeline.JobConfig{
		ID: "data", Seed: from, Scratch: t.TempDir(), Outputs: map[string]string{"dataset": file},
		Events: event.Func(func(e event.Event) {
			lock.Lock()
			defer lock.Unlock()
			said = append(said, e)
		}),
	})
	stage := Kind().New().(*Settings)
	*stage = s
	if err := stage.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := stage.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return file, said
}

func TestStage(t *testing.T) {
	s := DefaultSettings()
	s.Size, s.TrainImages, s.TestImages, s.ValidFraction = 16, 400, 100, 0.25
	file, said := runStage(t, s, 3)
	d, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "shapes" || d.Train.Count != 300 || d.Valid.Count != 100 || d.Test.Count != 100 || len(d.Classes) != 10 {
		t.Errorf("%s with %d, %d and %d images in %d classes", d.Name, d.Train.Count, d.Valid.Count, d.Test.Count, len(d.Classes))
	}
	for _, part := range d.splits() {
		counts := part.images.ClassCounts(10)
		if slices.Min(counts) != slices.Max(counts) {
			t.Errorf("%s split: class counts %v", part.name, counts)
		}
	}
	mean, std := d.Train.statistics(nil)
	if !slices.Equal(mean, d.Mean) || !slices.Equal(std, d.Std) {
		t.Errorf("statistics %v, %v are not those of the training split, %v, %v", d.Mean, d.Std, mean, std)
	}
	var text strings.Builder
	for _, e := range said {
		text.WriteString(string(e.Type) + " " + e.Level + ": " + e.Message + "\n")
	}
	for _, want := range []string{
		"stage_log info: shapes: 300 training, 100 validation and 100 test images of 16x16\n",
		"10 classes: plain disk, striped disk,",
		"normalization by channel: mean 0.",
		"stage_summary : shapes: 300 training, 100 validation and 100 test images of 16x16 in 10 classes\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the stage did not say %q, but\n%s", want, text.String())
		}
	}

	again, _ := runStage(t, s, 3)
	other, _ := runStage(t, s, 4)
	a, _ := os.ReadFile(file)
	b, _ := os.ReadFile(again)
	c, _ := os.ReadFile(other)
	if !bytes.Equal(a, b) {
		t.Error("the same settings and seed gave other bytes")
	}
	if bytes.Equal(a, c) {
		t.Error("another seed gave the same bytes")
	}
}

// The same files give the same bytes from wherever they are read.
func TestStageDoesNotDependOnPath(t *testing.T) {
	s := DefaultSettings()
	s.Source, s.Size, s.TrainImages, s.TestImages = SourceCIFAR10, 8, 60, 20
	content := fakeCIFAR(cifar10(), 30)
	s.Path = writeFolder(t, t.TempDir(), content)
	a, _ := runStage(t, s, 1)
	s.Path = filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(s.Path, tarGz(t, "x", content), 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := runStage(t, s, 1)
	x, _ := os.ReadFile(a)
	y, _ := os.ReadFile(b)
	if !bytes.Equal(x, y) {
		t.Error("the folder and the archive gave other bytes")
	}
	d, err := Load(a)
	if err != nil {
		t.Fatal(err)
	}
	if want := "CIFAR-10, binary version, 60 of 150 training images, 20 of 30 test images, reduced to 8x8 by area"; d.Source != want {
		t.Errorf("source %q, want %q", d.Source, want)
	}
}

// That no image is left for validation is a warning unless it was asked for.
func TestStageWarns(t *testing.T) {
	const none, classes = "no validation images", "some classes have no training image"
	for fraction, want := range map[float64][]string{0.01: {none, classes}, 0: {classes}} {
		s := DefaultSettings()
		s.Size, s.TrainImages, s.TestImages, s.ValidFraction = 12, 5, 5, fraction
		_, said := runStage(t, s, 1)
		var warnings []string
		for _, e := range said {
			if e.Level == "warn" {
				warnings = append(warnings, e.Message)
			}
		}
		if !slices.EqualFunc(warnings, want, strings.Contains) {
			t.Errorf("with valid_fraction %v warnings are %q", fraction, warnings)
		}
	}
}

func TestValidate(t *testing.T) {
	cifar := func(s *Settings) { s.Source, s.Path = SourceCIFAR10, "x" }
	for _, c := range []struct {
		path, want string
		change     func(*Settings)
	}{
		{"source", `unknown value "imagenet"`, func(s *Settings) { s.Source = "imagenet" }},
		{"path", "shapes are drawn, not read", func(s *Settings) { s.Path = "x" }},
		{"path", "--set data.path=PATH", func(s *Settings) { s.Source = SourceCIFAR100 }},
		{"size", "11 pixels, want 12 to 256, or 0 for 32", func(s *Settings) { s.Size = 11 }},
		{"size", "33 pixels, want 1 to 32, or 0 for 32; images are only reduced", func(s *Settings) { cifar(s); s.Size = 33 }},
		{"size", "-1 pixels", func(s *Settings) { cifar(s); s.Size = -1 }},
		{"path", "put the PNG, JPEG, GIF, WebP, BMP or TIFF images of each class into a folder", func(s *Settings) { s.Source = SourceFolder }},
		{"size", "1025 pixels, want 1 to 1024, or 0 for 32", func(s *Settings) { s.Source, s.Path, s.Size = SourceFolder, "x", 1025 }},
		{"test_fraction", "0 of the images, want above 0 and below 1", func(s *Settings) { s.Source, s.Path, s.TestFraction = SourceFolder, "x", 0 }},
		{"test_fraction", "only folder divides its images", func(s *Settings) { s.TestFraction = 0.3 }},
		{"coarse_labels", "only cifar100 has coarse labels", func(s *Settings) { cifar(s); s.CoarseLabels = true }},
		{"train_images", "-1 images", func(s *Settings) { s.TrainImages = -1 }},
		{"test_images", "-5 images", func(s *Settings) { s.TestImages = -5 }},
		{"valid_fraction", "1 of the images, want 0 to below 1", func(s *Settings) { s.ValidFraction = 1 }},
		{"shapes.clutter", "-1 marks", func(s *Settings) { s.Shapes.Clutter = -1 }},
		{"shapes.noise", "a standard deviation of 2", func(s *Settings) { s.Shapes.Noise = 2 }},
	} {
		s := DefaultSettings()
		c.change(&s)
		err := s.Validate()
		var setting *pipeline.SettingError
		if !errors.As(err, &setting) || setting.Path != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %s with %q", err, c.path, c.want)
		}
		if _, made := Make(t.Context(), s, 1); made == nil || !strings.Contains(made.Error(), c.want) {
			t.Errorf("Make: error %v, want %q", made, c.want)
		}
	}
	s := DefaultSettings()
	if err := s.Validate(); err != nil {
		t.Errorf("the defaults are wrong: %v", err)
	}
	s.TrainImages, s.ValidFraction = 1, 0.99
	var setting *pipeline.SettingError
	if _, err := Make(t.Context(), s, 1); !errors.As(err, &setting) || setting.Path != "valid_fraction" {
		t.Errorf("nothing left to train on: error %v", err)
	}
}
