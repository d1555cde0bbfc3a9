package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

// A recipe is read as it was written, and is what the stage was set to.
func TestRecipeIsReadAsItWasWritten(t *testing.T) {
	s := DefaultSettings()
	s.Channels, s.Epochs, s.LearningRate, s.Average, s.Training.WeightDecay, s.Augment.Cutout = 24, 77, 1.0/3, 0.99, 5e-7, 8
	s.Schedule, s.CutMix = ScheduleOneCycle, 0.1+0.2
	s.Budget.Parameters = 100000
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	if err := WriteRecipe(path, s); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecipe(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Budget = DefaultBudget() // it has been met
	if d := cmp.Diff(s, got); d != "" {
		t.Error(d)
	}
	if err := os.WriteFile(path, []byte("channels: 0\nspeed: 3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecipe(path); err == nil || !strings.Contains(err.Error(), "speed") || !strings.Contains(err.Error(), "let the stage that wrote it run again") {
		t.Error(err)
	}
}

func TestStageWritesItsRecipe(t *testing.T) {
	res := training(t, inputs(t, stagetest.DefaultImages()), "epochs: 2").Must(t)
	s, err := ReadRecipe(res.Outputs["recipe"])
	if err != nil || s.Epochs != 2 || s.Channels != 2 || s.Training.Batch != 8 || s.Training.WeightDecay != 0.0005 {
		t.Errorf("%+v, %v", s, err)
	}
}
