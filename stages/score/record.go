package score

import (
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// Record returns everything that the cache knows as the content of scores.json. images is the number of images that
// the scores were taken on.
func (c *Cache) Record(s *space.Space, images int) *result.Scores {
	out := &result.Scores{Space: s.Name, Evaluator: "weight_sharing", Images: images, Scores: []result.Score{}}
	for _, a := range c.Known() {
		r, _ := c.Lookup(a)
		out.Scores = append(out.Scores, result.Score{Architecture: s.Format(a), Score: r.Score, Loss: r.Loss, Accuracy: r.Accuracy})
	}
	return out
}

// Recall makes recorded scores known, if they are of this space and were taken on as many images; it returns how
// many were.
func (c *Cache) Recall(s *space.Space, images int, recorded *result.Scores) int {
	if recorded.Space != s.Name || recorded.Images != images {
		return 0
	}
	n := 0
	for _, r := range recorded.Scores {
		a, err := s.Parse(r.Architecture)
		if err != nil {
			continue // reading has checked the strings already
		}
		c.Add(a, Result{Score: r.Score, Loss: r.Loss, Accuracy: r.Accuracy})
		n++
	}
	return n
}
