// Package neighborhood gives an architecture the score of the plateau it stands on: an aggregate over its
// neighbors instead of its own score alone (Wang, Cao, Li, Kitani: Neighborhood-Aware Neural Architecture
// Search, BMVC 2021).
//
// Its nouns: Draw gives the neighbors of an architecture; DrawRelaxed gives neighbors of edge probabilities, as
// constant permutations through which gradients flow; an Aggregator makes one number of the neighbors'
// scores. Both draws follow the same Settings and agree where they meet: a relaxed neighbor of a
// one-hot distribution is a discrete neighbor. Radius 0 is the plain search, the center alone.
//
// Scores are better when higher everywhere (the score of a loss is its negative), so the worst neighbor is the
// minimum.
package neighborhood

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
)

// The ways in which a relaxed neighbor permutes the probabilities of an edge that it changes.
const (
	// Swap exchanges the probability of the strongest operation with that of another one. On a one-hot
	// distribution this is a discrete neighbor.
	Swap = "swap"
	// Shuffle permutes the probabilities of all operations by any permutation but the identity.
	Shuffle = "shuffle"
)

// Settings say which neighbors an architecture has and what becomes of their scores. They can stand in the
// settings of a stage.
type Settings struct {
	Radius             int    `yaml:"radius" doc:"Largest number of changes that lead to a neighbor; 0 scores the architecture alone."`
	Samples            int    `yaml:"samples" doc:"Neighbors drawn for a center, without replacement; 0 takes all of them."`
	Kind               string `yaml:"kind" enum:"swap,shuffle" doc:"How a relaxed neighbor changes an edge: swap (the strongest operation with another) or shuffle (any permutation)."`
	IncludeCenter      bool   `yaml:"include_center" doc:"Whether the architecture itself counts among its neighbors."`
	Equivalents        string `yaml:"equivalents" enum:"all,once,leave_out" doc:"How neighbors count that compute the same function: all (every one counts), once (of members that compute the same the first alone, the architecture itself before the others) or leave_out (those that compute what the architecture itself does do not count). Relaxed neighbors always all count."`
	AggregatorSettings `yaml:",inline"`
}

// DefaultSettings returns the mean over the architecture and all its neighbors at distance 1.
func DefaultSettings() Settings {
	return Settings{Radius: 1, Kind: Swap, IncludeCenter: true, Equivalents: EquivalentsAll, AggregatorSettings: DefaultAggregatorSettings()}
}

// Validate checks what can be checked without knowing the space. Every mistake is reported, each as a
// *pipeline.SettingError whose path is relative to the settings.
func (st Settings) Validate() error { return st.ValidateUnder("") }

// ValidateUnder is Validate with paths below the setting that holds these settings, such as "neighborhood".
func (st Settings) ValidateUnder(path string) error {
	r := report{path: path}
	if st.Radius < 0 {
		r.add("radius", "%d is negative; use 0 to score an architecture alone, 1 or more for its neighborhood", st.Radius)
	}
	if st.Samples < 0 {
		r.add("samples", "%d is negative; use 0 for all neighbors", st.Samples)
	}
	if st.Kind != Swap && st.Kind != Shuffle {
		r.add("kind", "unknown kind of relaxed neighbor %q: known are %s, %s", st.Kind, Swap, Shuffle)
	}
	if st.Equivalents != "" && !slices.Contains(Equivalents(), st.Equivalents) {
		r.errs = append(r.errs, pipeline.UnknownValue(strings.TrimPrefix(path+".equivalents", "."), st.Equivalents, Equivalents()))
	}
	st.AggregatorSettings.validate(&r)
	return errors.Join(r.errs...)
}

// CheckSpace reports whether the settings fit the space: no neighbor is further away than the largest distance. The error is a
// *pipeline.SettingError whose path is relative to the settings.
func (st Settings) CheckSpace(s *space.Space) error {
	if err := CheckRadius(st.Radius, s); err != nil {
		return &pipeline.SettingError{Path: "radius", Err: err}
	}
	return nil
}

// CheckSpaceUnder is CheckSpace with the error in another one of the setting that holds these settings, such as "neighborhood".
func (st Settings) CheckSpaceUnder(path string, s *space.Space) error {
	if err := st.CheckSpace(s); err != nil {
		return &pipeline.SettingError{Path: path, Err: err}
	}
	return nil
}

// CheckRadius reports a radius that is larger than any distance in the space.
func CheckRadius(radius int, s *space.Space) error {
	switch most := s.Diameter(); {
	case radius <= most:
		return nil
	case s.Pairs:
		return fmt.Errorf("radius %d is larger than any distance in space %s; use at most %d", radius, s.Name, most)
	default:
		return fmt.Errorf("radius %d is larger than the %d edges of space %s; use at most %d", radius, most, s.Name, most)
	}
}

// Size returns how many architectures Draw gives for a center in the space; where that depends on the center, the most
// that there can be.
func (st Settings) Size(s *space.Space) int {
	if st.Radius <= 0 {
		return 1
	}
	n := neighbors(s, st.Radius, s.ShellSize)
	if st.Samples > 0 {
		n = min(n, st.Samples)
	}
	if st.IncludeCenter {
		n++
	}
	return n
}

// report gathers the mistakes of one group of settings.
type report struct {
	path string
	errs []error
}

func (r *report) add(setting, format string, args ...any) {
	path := strings.TrimPrefix(r.path+"."+setting, ".")
	r.errs = append(r.errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
}
