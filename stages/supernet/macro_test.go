package supernet_test

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMacroSaysWhatCannotBeBuilt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*supernet.Macro)
		want   string
	}{
		{"no channels", func(m *supernet.Macro) { m.Channels = 0 }, "channels: 0 channels; at least 1"},
		{"no cells", func(m *supernet.Macro) { m.Cells = -1 }, "cells: -1 cells a stage; at least 1"},
		{"one class", func(m *supernet.Macro) { m.Classes = 1 }, "1 classes; a classifier needs at least 2"},
		{"no image channels", func(m *supernet.Macro) { m.Image[0] = 0 }, "images of 0 channels"},
		{"small images", func(m *supernet.Macro) { m.Image = [3]int{3, 8, 4} }, "images of 3 channels, 8x4; at least one channel and 8x8 pixels"},
		{"odd height", func(m *supernet.Macro) { m.Image = [3]int{3, 15, 16} }, "images of 15x16; height and width must be divisible by 4, since the network halves them twice (set the dataset's size, for example to 12)"},
		{"width that halves once", func(m *supernet.Macro) { m.Image = [3]int{3, 28, 30} }, "images of 28x30; height and width must be divisible by 4"},
	} {
		m := small
		c.change(&m)
		for what, err := range map[string]error{"the skeleton": m.Check(), "a supernet": second(supernet.New(space.NASBench201(), m))} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s: %v does not say %q", c.name, what, err, c.want)
			}
		}
	}
	if err := small.Check(); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// settingPaths returns the setting that each mistake of an error names, and "" for one that names none.
func settingPaths(err error) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range many.Unwrap() {
			out = append(out, settingPaths(e)...)
		}
		return out
	}
	var one *pipeline.SettingError
	if errors.As(err, &one) {
		return []string{one.Path}
	}
	return []string{""}
}

func TestSettingsReportEveryMistakeWithItsPath(t *testing.T) {
	nan := math.NaN()
	mistakes := map[string]func(*supernet.Settings){
		"space":                    func(s *supernet.Settings) { s.Space = "nasbench101" },
		"channels":                 func(s *supernet.Settings) { s.Channels = 0 },
		"cells":                    func(s *supernet.Settings) { s.Cells = 0 },
		"image_size":               func(s *supernet.Settings) { s.ImageSize = 18 },
		"score_batch":              func(s *supernet.Settings) { s.ScoreBatch = 1 },
		"training.batch":           func(s *supernet.Settings) { s.Training.Batch = 1 },
		"training.momentum":        func(s *supernet.Settings) { s.Training.Momentum = 1 },
		"training.weight_decay":    func(s *supernet.Settings) { s.Training.WeightDecay = nan },
		"training.clip":            func(s *supernet.Settings) { s.Training.Clip = math.Inf(1) },
		"training.label_smoothing": func(s *supernet.Settings) { s.Training.LabelSmoothing = -0.1 },
	}
	all := supernet.DefaultSettings()
	if err := all.Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	for path, change := range mistakes {
		s := supernet.DefaultSettings()
		change(&s)
		change(&all)
		if diff := cmp.Diff([]string{path}, settingPaths(s.Validate())); diff != "" {
			t.Errorf("mistakes differ (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(mistakes)), slices.Sorted(slices.Values(settingPaths(all.Validate())))); diff != "" {
		t.Errorf("with all mistakes at once (-want +got):\n%s", diff)
	}
	s := supernet.DefaultSettings()
	s.Training.Momentum = 0
	if diff := cmp.Diff([]string{"training.nesterov"}, settingPaths(s.Validate())); diff != "" {
		t.Errorf("Nesterov without momentum (-want +got):\n%s", diff)
	}
}
