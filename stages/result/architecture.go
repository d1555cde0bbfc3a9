package result

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/stages/space"
)

// Architecture is the content of architecture.json: what a search, or a re-ranking of its finalists, has chosen.
// Scores are better when higher; nil where none was computed.
type Architecture struct {
	Space             string      `json:"space"`                   // its reference: a name, or the declaration of a space of one's own
	Architecture      string      `json:"architecture"`            // the choice, as the space writes it
	Operations        []string    `json:"operations"`              // the same, one name for each edge that has a choice
	Genotype          string      `json:"genotype,omitempty"`      // the same in Python's notation, in the DARTS space
	Class             string      `json:"class,omitempty"`         // what it computes (space.Space.Class)
	ClassMembers      int         `json:"class_members,omitempty"` // architectures of the space that compute it; 0 where they are too many to be counted
	Algorithm         string      `json:"algorithm"`               // what chose it: "darts", "random_search", "neighborhood"
	Seed              uint64      `json:"seed"`                    // of the stage
	OwnScore          *float64    `json:"own_score"`
	NeighborhoodScore *float64    `json:"neighborhood_score"`
	Candidates        []Candidate `json:"candidates"`              // best first, the choice among them
	Alpha             [][]float64 `json:"alpha,omitempty"`         // edge x operation, of searches that have it
	Probabilities     [][]float64 `json:"probabilities,omitempty"` // edge x operation, each row sums to one
	EdgeWeights       []float64   `json:"edge_weights,omitempty"`  // of searches that weigh edges; those into a node sum to one
	Settings          Settings    `json:"settings,omitempty"`
}

// Candidate is an architecture that the search would also put forward.
type Candidate struct {
	Architecture      string   `json:"architecture"`
	Score             float64  `json:"score"`
	NeighborhoodScore *float64 `json:"neighborhood_score,omitempty"`
	// Metrics are further numbers by name, such as latency_ms; left out where there are none.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Front tells the members of a Pareto front: no other candidate is better in one goal without being worse in another.
	Front bool `json:"front,omitempty"`
}

// NewArchitecture returns the content for a choice in a space, with the fields that follow from these two.
func NewArchitecture(s *space.Space, a space.Architecture) *Architecture {
	out := &Architecture{Space: s.Reference(), Architecture: s.Format(a), Operations: s.OperationNames(a), Class: s.Class(a), Candidates: []Candidate{}}
	if members := s.CountMembers(out.Class); members != nil {
		out.ClassMembers = members[0]
	}
	if g, err := space.GenotypeOf(a); err == nil && s.Pairs {
		out.Genotype = g.String()
	}
	return out
}

// Parse returns the space and the chosen architecture in it.
func (a *Architecture) Parse() (*space.Space, space.Architecture, error) {
	s, err := space.ByName(a.Space)
	if err != nil {
		return nil, nil, err
	}
	arch, err := s.Parse(a.Architecture)
	if err != nil {
		return nil, nil, err
	}
	return s, arch, nil
}

func (a *Architecture) check() error {
	s, arch, err := a.Parse()
	if err != nil {
		return err
	}
	if want := s.OperationNames(arch); !slices.Equal(want, a.Operations) {
		return fmt.Errorf("operations are %q, but architecture %s has %q", a.Operations, a.Architecture, want)
	}
	if a.Genotype != "" {
		if other, err := s.Parse(a.Genotype); err != nil || !other.Equal(arch) {
			return fmt.Errorf("the genotype is %s, but the architecture %s", a.Genotype, a.Architecture)
		}
	}
	for i, c := range a.Candidates {
		if err := architecture(s, fmt.Sprintf("candidate %d", i), c.Architecture); err != nil {
			return err
		}
	}
	if a.Alpha != nil {
		if err := table(s, "alpha", a.Alpha); err != nil {
			return err
		}
	}
	if a.Probabilities != nil {
		return table(s, "probabilities", a.Probabilities)
	}
	return nil
}

// ReadArchitecture reads an architecture.json.
func ReadArchitecture(path string) (*Architecture, error) {
	var a Architecture
	if err := readJSON(path, "an architecture", &a); err != nil {
		return nil, err
	}
	return &a, nil
}

// WriteArchitecture writes an architecture.json.
func WriteArchitecture(path string, a *Architecture) error {
	return writeJSON(path, "an architecture", a)
}
