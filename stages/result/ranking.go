package result

import (
	"fmt"

	"github.com/plateau-nas/plateau/stages/space"
)

// Ranking is the content of ranking.json: the finalists of a search by the scores of their neighborhoods. Scores are
// better when higher.
type Ranking struct {
	Space           string     `json:"space"`
	Aggregate       Settings   `json:"aggregate"`        // how scores were drawn and aggregated
	Radius          int        `json:"radius"`           // largest number of edges on which a neighbor differs
	NeighborsScored int        `json:"neighbors_scored"` // architectures whose score had to be computed
	Finalists       []Finalist `json:"finalists"`        // best aggregate first
	Winner          int        `json:"winner"`           // index into Finalists
}

// Finalist is one architecture with its neighborhood.
type Finalist struct {
	Architecture     string   `json:"architecture"`
	Class            string   `json:"class,omitempty"`         // what it computes (space.Space.Class)
	ClassMembers     int      `json:"class_members,omitempty"` // architectures of the space that compute it; 0 where they are too many to be counted
	OwnScore         float64  `json:"own_score"`
	OwnAccuracy      float64  `json:"own_accuracy"` // top-1 on the data that gave the score, 0 to 1
	Aggregate        float64  `json:"aggregate"`    // score of the neighborhood
	Std              float64  `json:"std"`          // of the neighbors' scores
	Min              float64  `json:"min"`
	Max              float64  `json:"max"`
	Worst            Neighbor `json:"worst"`             // the neighbor with score Min
	RankOwn          int      `json:"rank_own"`          // 1 is the best
	RankNeighborhood int      `json:"rank_neighborhood"` // 1 is the best
	Neighbors        int      `json:"neighbors"`         // how many the aggregate stands on, the center not counted
	// Table holds, for edge e and operation k, the score of the architecture with k on e and all else equal; at its own
	// operations that is the own score. Nil where it was not computed.
	Table [][]*float64 `json:"table"`
}

// Neighbor is one neighbor with its score.
type Neighbor struct {
	Architecture string  `json:"architecture"`
	Score        float64 `json:"score"`
}

func (r *Ranking) check() error {
	s, err := space.ByName(r.Space)
	if err != nil {
		return err
	}
	if r.Winner < 0 || r.Winner >= len(r.Finalists) {
		return fmt.Errorf("winner is %d, but there are %d finalists", r.Winner, len(r.Finalists))
	}
	for i, f := range r.Finalists {
		where := fmt.Sprintf("finalist %d", i)
		if err := architecture(s, where, f.Architecture); err != nil {
			return err
		}
		if f.Neighbors > 0 {
			if err := architecture(s, where+", worst neighbor", f.Worst.Architecture); err != nil {
				return err
			}
		}
		if f.Table != nil {
			if err := table(s, where+", table", f.Table); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadRanking reads a ranking.json.
func ReadRanking(path string) (*Ranking, error) {
	var r Ranking
	if err := readJSON(path, "a ranking", &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// WriteRanking writes a ranking.json.
func WriteRanking(path string, r *Ranking) error { return writeJSON(path, "a ranking", r) }
