package result

import (
	"fmt"

	"github.com/plateau-nas/plateau/stages/space"
)

// Scores is scores.json: what an evaluator has said of architectures, so that a later stage need not ask again. They
// hold for the evaluator's settings only.
type Scores struct {
	Space     string  `json:"space"`
	Evaluator string  `json:"evaluator"` // what scored: "weight_sharing", or a table and its column
	Images    int     `json:"images"`    // validation images that every architecture was scored on; 0 where there are none
	Batch     int     `json:"batch"`     // images in a batch, by whose statistics normalization goes
	Scores    []Score `json:"scores"`
}

// Score is the score of one architecture.
type Score struct {
	Architecture string  `json:"architecture"`
	Score        float64 `json:"score"`    // higher is better
	Loss         float64 `json:"loss"`     // mean cross-entropy in nats
	Accuracy     float64 `json:"accuracy"` // 0 to 1
	// Metrics are further numbers by name; left out where there are none.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Failure says why the architecture could not be evaluated; the numbers mean nothing then. Left out for all others.
	Failure string `json:"failure,omitempty"`
}

func (s *Scores) check() error {
	sp, err := space.ByName(s.Space)
	if err != nil {
		return err
	}
	for i, one := range s.Scores {
		if err := architecture(sp, fmt.Sprintf("score %d", i), one.Architecture); err != nil {
			return err
		}
	}
	return nil
}

// ReadScores reads scores.json.
func ReadScores(path string) (*Scores, error) {
	var s Scores
	if err := readJSON(path, "scores", &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// WriteScores writes scores.json.
func WriteScores(path string, s *Scores) error { return writeJSON(path, "scores", s) }
