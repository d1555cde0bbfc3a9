package search

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

const trainingRates = "learning_rate: 0.05, learning_rate_min: 0.01"

// Weights that a stage of their own has trained are those that a search would have trained, and so is what is found on them.
func TestSearchOnGivenWeights(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	const settings = "algorithm: random\nepochs: 2\nneighborhood: {radius: 1, samples: 2}\ncandidates: 3\nfinalists: 2\nweights: {at: %s%s}"
	alone := search(t, in, fmt.Sprintf(settings, "path", ", warm_up: 1, "+trainingRates)).Must(t)
	training := stagetest.Run{
		Kind: WeightsKind(stagetest.Opener(t)), Inputs: in, Seed: 7,
		Settings: "{epochs: 2, warm_up: 1, " + trainingRates + "}",
	}.Must(t)
	both := training.Artifacts(in, WeightsKind(nil), "weights")
	both["trained"] = pipeline.Artifact{Type: TrainedWeights, Path: training.Outputs["weights"], Stage: "weights"}
	given := search(t, both, fmt.Sprintf(settings, "given", "")).Must(t)
	for _, output := range []string{"weights", "scores"} {
		if alone.Bytes(t)[output] != given.Bytes(t)[output] {
			t.Errorf("%s differ", output)
		}
	}
	if training.Metrics["weight_steps"] != alone.Metrics["weight_steps"] || alone.Metrics["weight_steps"] == 0 || given.Metrics["weight_steps"] != 0 {
		t.Errorf("steps: %v, alone %v, on given weights %v", training.Metrics, alone.Metrics, given.Metrics)
	}
	if a, b := alone.Metrics["own_score"], given.Metrics["own_score"]; a != b || given.Metrics["evaluations"] != alone.Metrics["evaluations"] {
		t.Errorf("own score %v and %v", a, b)
	}

	// A search by gradients moves alpha alone.
	res := search(t, both, "algorithm: darts\nepochs: 1\nweights: {at: given}\nalpha: {relaxation: gumbel}\nneighborhood: {samples: 2}\nfinalists: 2").Must(t)
	if _, phases := history(t, res); strings.Join(phases, " ") != "alpha" {
		t.Errorf("the phases are %v", phases)
	}
	if res.Bytes(t)["weights"] != alone.Bytes(t)["weights"] {
		t.Error("the weights have moved")
	}
	if res.Metrics["alpha_passes"] != 3*res.Metrics["alpha_steps"] || res.Metrics["alpha_steps"] == 0 {
		t.Errorf("%v", res.Metrics)
	}
}

func TestGivenWeightsThatAreNotThere(t *testing.T) {
	res := search(t, stagetest.Inputs(t, stagetest.DefaultImages()), "epochs: 1\nweights: {at: given}").Do(t)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "add a stage of kind weights") {
		t.Errorf("the error is %v", res.Err)
	}
	s := valid()
	s.Algorithm, s.Weights.At, s.Weights.Epochs, s.Weights.WarmUp, s.Alpha.Start = DARTS, Given, 1, 0, 1
	if got := strings.Join(settingPaths(s.Validate()), " "); !strings.Contains(got, "weights.epochs") || !strings.Contains(got, "alpha.start") {
		t.Errorf("mistakes are found in %s", got)
	}
	stage := &training{TrainingSettings: TrainingSettings{Epochs: 1, WarmUp: 2, LearningRate: 0.1}}
	if got := strings.Join(settingPaths(stage.Validate()), " "); got != "warm_up" {
		t.Errorf("mistakes are found in %s", got)
	}
}

// A training that is killed ends with the bytes of one that is not.
func TestInterruptedTrainingOfWeights(t *testing.T) {
	run := stagetest.Run{
		Kind: WeightsKind(stagetest.Opener(t)), Inputs: stagetest.Inputs(t, stagetest.DefaultImages()), Seed: 7, Settings: "{epochs: 2, " + trainingRates + "}",
	}
	whole := run.Must(t)
	cut := interrupted(t, run, inSecondEpoch)
	if _, err := os.Stat(cut.Scratch); err != nil {
		t.Fatal(err)
	}
	run.Scratch = cut.Scratch
	stagetest.SameBytes(t, whole, run.Must(t))
}
