package score

import (
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// Sample is what architectures were scored on. Scores of different samples are not compared: normalization uses the
// statistics of a batch, so the size of the batch counts as well as the number of images.
type Sample struct {
	Images int // validation images; 0 where there are none
	Batch  int // of which so many were in a batch
	// Evaluator names what scored, with everything that its scores depend on beside the images. "" is weight sharing.
	Evaluator string
}

func (s Sample) evaluator() string {
	if s.Evaluator == "" {
		return "weight_sharing"
	}
	return s.Evaluator
}

// Record returns everything that the cache knows, scored on the sample, as the content of scores.json.
func (c *Cache) Record(s *space.Space, on Sample) *result.Scores {
	out := &result.Scores{Space: s.Reference(), Evaluator: on.evaluator(), Images: on.Images, Batch: on.Batch, Scores: []result.Score{}}
	for _, a := range c.Known() {
		r, _ := c.Lookup(a)
		out.Scores = append(out.Scores, result.Score{Architecture: s.Format(a), Score: r.Score, Loss: r.Loss, Accuracy: r.Accuracy, Metrics: r.Metrics, Failure: r.Failure})
	}
	return out
}

// Recall makes recorded scores known, if they are of this space and were taken on an equal sample; it returns how
// many were.
func (c *Cache) Recall(s *space.Space, on Sample, recorded *result.Scores) int {
	if recorded.Space != s.Reference() || recorded.Evaluator != on.evaluator() || recorded.Images != on.Images || recorded.Batch != on.Batch {
		return 0
	}
	n := 0
	for _, r := range recorded.Scores {
		a, err := s.Parse(r.Architecture)
		if err != nil {
			continue // reading has checked the strings already
		}
		c.Add(a, Result{Score: r.Score, Loss: r.Loss, Accuracy: r.Accuracy, Metrics: r.Metrics, Failure: r.Failure})
		n++
	}
	return n
}

// Keep leaves everything that the cache knows in a checkpoint at path, so that a killed run need not ask again.
func (c *Cache) Keep(path string, s *space.Space, on Sample) error {
	return checkpoint.Save(path, c.Record(s, on), nil)
}

// Restore makes known what Keep has left at path and returns how many architectures those are; 0 when there is nothing. A
// file that cannot be trusted gives a *checkpoint.Damaged error, and then nothing of it is known.
func (c *Cache) Restore(path string, s *space.Space, on Sample) (int, error) {
	var kept result.Scores
	found, err := checkpoint.Load(path, &kept, nil)
	if err != nil || !found {
		return 0, err
	}
	return c.Recall(s, on, &kept), nil
}
