package training_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/score/training"
	"github.com/plateau-nas/plateau/stages/space"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

func settings() training.Settings {
	st := training.DefaultSettings()
	st.Channels, st.Cells, st.Epochs, st.Training.Batch = 2, 1, 2, 8
	return st
}

func evaluator(t *testing.T, st training.Settings, epochs int, folder string, logged *[]string) *training.Evaluator {
	t.Helper()
	e, err := training.New(training.Options{
		Runtime: stagetest.Runtime(t), Space: space.NASBench201(), Data: stagetest.Dataset(t, stagetest.DefaultImages()), Seed: 3, Folder: folder,
		Log: func(format string, _ ...any) {
			if logged != nil {
				*logged = append(*logged, format)
			}
		},
	}, st, epochs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) {
	st := settings()
	st.Epochs = 1
	scoretest.Run(t, scoretest.Suite{
		Space: space.NASBench201(), Architectures: 3,
		New: func(t *testing.T) score.Evaluator { return evaluator(t, st, 1, t.TempDir(), nil) },
	})
}

var arch = []space.Architecture{{3, 1, 2, 3, 0, 4}}

// A budget that continues the one before ends where an uninterrupted training ends, and its checkpoint is used.
func TestBudgetsContinue(t *testing.T) {
	st := settings()
	st.Budgets, st.Continue, st.Epochs = []int{1}, true, 3
	once, err := evaluator(t, st, 3, t.TempDir(), nil).Evaluate(t.Context(), arch)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	short, err := evaluator(t, st, 1, folder, nil).Evaluate(t.Context(), arch)
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("%d checkpoints are left", len(entries))
	}
	on, err := evaluator(t, st, 3, folder, nil).Evaluate(t.Context(), arch)
	if err != nil {
		t.Fatal(err)
	}
	if on[0].Loss != once[0].Loss || on[0].Loss == short[0].Loss {
		t.Errorf("the losses are %v at once, %v after one epoch and %v after all", once[0].Loss, short[0].Loss, on[0].Loss)
	}
}

// At equal cost an architecture of few operations is wider, and one that is too large at any width fails alone.
func TestEqualCost(t *testing.T) {
	st := settings()
	st.Epochs = 1
	sparse, full := space.Architecture{0, 0, 0, 3, 0, 0}, space.Architecture{3, 3, 3, 3, 3, 3}
	e := evaluator(t, st, 1, t.TempDir(), nil)
	one, err := e.Train(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	if one.Network.Channels != st.Channels {
		t.Fatalf("without a bound there are %d channels", one.Network.Channels)
	}
	st.Budget.MultiplyAdds, st.Budget.MostCells = 900_000, 1
	e = evaluator(t, st, 1, t.TempDir(), nil)
	var channels []int
	for _, a := range []space.Architecture{sparse, full} {
		trained, err := e.Train(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		channels = append(channels, trained.Network.Channels)
	}
	if channels[0] <= channels[1] || channels[1] <= st.Channels {
		t.Errorf("the channels are %v", channels)
	}
	st.Budget.MultiplyAdds = 50_000 // more than the sparse one has with two channels, less than the full one
	r, err := evaluator(t, st, 1, t.TempDir(), nil).Evaluate(t.Context(), []space.Architecture{sparse, full})
	if err != nil || !r[0].OK() || r[1].OK() || !strings.Contains(r[1].Failure, "multiply-adds") {
		t.Errorf("%+v: %v", r, err)
	}
	st.Budget.LatencyMS = 1
	if err := st.Validate("training"); err == nil || !strings.Contains(err.Error(), "training.budget") {
		t.Errorf("a bound that is measured: %v", err)
	}
}

func TestTrainingsOfTheirOwnLeaveNothing(t *testing.T) {
	st, folder := settings(), t.TempDir()
	var logged []string
	r, err := evaluator(t, st, 2, folder, &logged).Evaluate(t.Context(), append(arch, arch...))
	if err != nil || !r[0].OK() || r[0].Score != -r[0].Loss || r[0].Metrics["train_loss"] <= 0 || len(logged) != 1 {
		t.Errorf("%+v after %v: %v", r, logged, err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 0 {
		t.Errorf("%d folders are left", len(entries))
	}
}

func TestATrainingThatDivergesIsAFailure(t *testing.T) {
	st := settings()
	st.LearningRate, st.Training.Clip, st.Training.WeightDecay = math.MaxFloat32/4, 0, 10
	r, err := evaluator(t, st, 2, t.TempDir(), nil).Evaluate(t.Context(), arch)
	if err != nil || r[0].OK() || !strings.Contains(r[0].Failure, "learning rate") {
		t.Errorf("%+v: %v", r, err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*training.Settings){
		"training.use_valid":             func(s *training.Settings) { s.UseValid = true },
		"training.budgets[0]":            func(s *training.Settings) { s.Budgets = []int{2} },
		"budgets are ascending":          func(s *training.Settings) { s.Epochs, s.Budgets = 9, []int{3, 1} },
		`unknown value "mine"`:           func(s *training.Settings) { s.Schedule = "mine" },
		"training.learning_rate":         func(s *training.Settings) { s.LearningRate = -1 },
		"training.training.weight_decay": func(s *training.Settings) { s.Training.WeightDecay = -1 },
	} {
		st := settings()
		change(&st)
		if err := st.Validate("training"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// Without validation images architectures are told apart by their training loss, which is the same as with the others held out of sight.
func TestWithoutValidationImages(t *testing.T) {
	data := *stagetest.Dataset(t, stagetest.DefaultImages())
	none, err := data.Valid.Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := evaluator(t, settings(), 2, t.TempDir(), nil).Evaluate(t.Context(), arch)
	if err != nil {
		t.Fatal(err)
	}
	data.Valid = none
	e, err := training.New(training.Options{Runtime: stagetest.Runtime(t), Space: space.NASBench201(), Data: &data, Seed: 3, Folder: t.TempDir()}, settings(), 2)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Evaluate(t.Context(), arch)
	if err != nil {
		t.Fatal(err)
	}
	if loss := want[0].Metrics["train_loss"]; got[0].Score != -loss || got[0].Loss != loss || got[0].Accuracy != 0 || got[0].Metrics["train_loss"] != loss || loss == want[0].Loss {
		t.Errorf("%+v, with validation images %+v", got[0], want[0])
	}
}
