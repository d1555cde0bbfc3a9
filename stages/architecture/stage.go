// Package architecture is the stage kind that takes an architecture as given: a published name, its notation, or an
// architecture.json that a search has left. It stands where a search would, so that what is known can be ranked, trained and
// exported without one.
package architecture

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// Settings are the settings of the stage kind "architecture".
type Settings struct {
	Space    string `yaml:"space" enum:"darts,nasbench201" doc:"Search space that the genotype is of."`
	Genotype string `yaml:"genotype" doc:"The architecture: the name of a published one, what a search or describe has printed, or for darts Python's notation Genotype(normal=[...], ...)."`
	Path     string `yaml:"path" doc:"An architecture.json that a search or a ranking has left; it takes the place of space and genotype, and may be of a search space of one's own."`
}

// DefaultSettings returns the DARTS space and no architecture, which the user has to give.
func DefaultSettings() Settings { return Settings{Space: space.DARTS().Name} }

// Kind returns the stage kind "architecture". It has no metrics.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:    "architecture",
		Version: 1,
		Doc:     "Takes an architecture that is known: by name, by its notation, or from the architecture.json of an earlier run.",
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture, with the scores that the file it was read from had."},
		},
		Resources: pipeline.Resources{Cores: 1},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage         = (*Settings)(nil)
	_ pipeline.Validator     = (*Settings)(nil)
	_ pipeline.Fingerprinter = (*Settings)(nil)
)

// Validate implements pipeline.Validator. It looks at no files.
func (s *Settings) Validate() error {
	if s.Path != "" {
		return nil
	}
	_, _, err := s.parse()
	return err
}

// parse reads the genotype in its space. Errors are *pipeline.SettingError.
func (s *Settings) parse() (*space.Space, space.Architecture, error) {
	known := []string{space.DARTS().Name, space.NASBench201().Name}
	if s.Space != known[0] && s.Space != known[1] {
		return nil, nil, pipeline.UnknownValue("space", s.Space, known)
	}
	sp, err := space.ByName(s.Space)
	if err != nil {
		return nil, nil, &pipeline.SettingError{Path: "space", Err: err}
	}
	text := strings.TrimSpace(s.Genotype)
	if text == "" {
		return nil, nil, &pipeline.SettingError{Path: "genotype", Err: fmt.Errorf("no architecture is given; give its notation or, in the space darts, one of the names %s, or give path", strings.Join(space.GenotypeNames(), ", "))}
	}
	a, err := sp.Parse(text)
	if err != nil {
		return nil, nil, &pipeline.SettingError{Path: "genotype", Err: err}
	}
	return sp, a, nil
}

// Fingerprint implements pipeline.Fingerprinter: the SHA-256 of the file that is read.
func (s *Settings) Fingerprint(context.Context) (map[string]string, error) {
	if s.Path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(s.Path)
	if err != nil {
		return nil, pathError(err)
	}
	return map[string]string{"architecture.json": fmt.Sprintf("sha256:%x", sha256.Sum256(b))}, nil
}

// Run implements pipeline.Stage.
func (s *Settings) Run(_ context.Context, job *pipeline.Job) error {
	found, err := s.read()
	if err != nil {
		return err
	}
	sp, a, err := found.Parse()
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("%s: %s", sp.Name, found.Architecture)}
	if sp.Name == space.DARTS().Name {
		g, err := space.GenotypeOf(a)
		if err != nil {
			return err
		}
		lines = append(lines, g.String())
	}
	job.Summary(strings.Join(lines, "\n"))
	return result.WriteArchitecture(job.Output("architecture"), found)
}

// read returns the architecture that the settings name.
func (s *Settings) read() (*result.Architecture, error) {
	if s.Path != "" {
		found, err := result.ReadArchitecture(s.Path)
		if err != nil {
			return nil, pathError(err)
		}
		return found, nil
	}
	sp, a, err := s.parse()
	if err != nil {
		return nil, err
	}
	found := result.NewArchitecture(sp, a)
	found.Algorithm = "given" // and no seed: with any it is the same
	return found, nil
}

// pathError says that the setting path is to blame, and of a file that is not there what is wanted.
func pathError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; give the architecture.json that a run has left, such as runs/NAME/search/architecture.json", err)
	}
	return &pipeline.SettingError{Path: "path", Err: err}
}
