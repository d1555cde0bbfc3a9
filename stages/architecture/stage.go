// Package architecture is the stage kind that takes an architecture as given: a published name, its notation, or an
// architecture.json that a search has left; or that chooses one as anybody could without a search: the largest under a bound, the
// published one, some at random. It stands where a search would, so that what is known can be ranked, trained and exported
// without one, and so that a search has something to be better than.
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
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Settings are the settings of the stage kind "architecture".
type Settings struct {
	Space      string                    `yaml:"space" enum:"darts,nasbench201,plain" doc:"Search space that the genotype is of, or that is chosen from; a supernet that is connected has its own to choose from. plain has no cells but whole networks that people have designed: the genotype resnet9."`
	Genotype   string                    `yaml:"genotype" doc:"The architecture: the name of a published one, what a search or describe has printed, or for darts Python's notation Genotype(normal=[...], ...)."`
	Path       string                    `yaml:"path" file:"true" doc:"An architecture.json that a search or a ranking has left; it takes the place of space and genotype, and may be of a search space of one's own."`
	Choose     string                    `yaml:"choose" enum:"largest,published,random" doc:"Choose in place of genotype and path: largest (the most multiply-adds of operations that take part in the result, then the most parameters, the fewest edges without an operation, and the first in the space's order), published (the cell that the space's authors compare with: resnet in nasbench201, DARTS_V2 in darts) or random (each as likely as any other)."`
	AtMost     Bounds                    `yaml:"at_most" doc:"For largest and random: bounds that the architectures keep."`
	Candidates int                       `yaml:"candidates" doc:"For largest and random: how many architectures are handed on as finalists, all different; the first is the choice."`
	Neighbors  int                       `yaml:"neighbors" doc:"Radius of the neighborhood that is handed on beside the architecture, as further candidates for a stage that chooses among them; of those that compute the same, and of those that compute what the architecture itself does, one is enough. 0 hands on none."`
	Network    evaluator.NetworkSettings `yaml:"network" doc:"For choose: the network whose multiply-adds and parameters count, on the images of the dataset that is connected, otherwise on 32x32 pixels."`
}

// DefaultSettings returns the DARTS space and no architecture, which the user has to give or to choose; costs are those of the
// benchmark NAS-Bench-201.
func DefaultSettings() Settings {
	return Settings{Space: space.DARTS().Name, Candidates: 1, Network: evaluator.DefaultSettings().Network}
}

// Kind returns the stage kind "architecture", which measures latencies on the runtime that open gives where one is bounded. For an
// architecture that is chosen its metrics are multiply_adds, parameters, multiply_adds_share and, where it is bounded, latency_ms; for
// one that is given it has none.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "architecture",
		Version: 3,
		Doc:     "Takes an architecture that is known, by name, by its notation, or from the architecture.json of an earlier run, or one that anybody can choose without a search: the largest, the published one, or some at random.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Optional: true, Doc: "For choose: the images that the network of an architecture takes."},
			{Name: "path", Type: "path-supernet", Optional: true, Doc: "For choose: the supernet whose space is chosen from."},
		},
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture, with the scores that the file it was read from had."},
		},
		Resources: pipeline.Resources{Cores: 1},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

var (
	_ pipeline.Stage           = (*stage)(nil)
	_ pipeline.Validator       = (*stage)(nil)
	_ pipeline.InputsValidator = (*stage)(nil)
	_ pipeline.Fingerprinter   = (*stage)(nil)
)

// stage is the settings with the runtime to measure latencies on.
type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

// Validate implements pipeline.Validator. It looks at no files.
func (s *Settings) Validate() error {
	err := s.validateChoice()
	if s.Neighbors < 0 {
		err = errors.Join(err, &pipeline.SettingError{Path: "neighbors", Err: fmt.Errorf("%d; give a radius of at least 0", s.Neighbors)})
	}
	if s.Choose == "" && s.Path == "" {
		_, _, wrong := s.parse()
		err = errors.Join(err, wrong)
	}
	return err
}

// ValidateInputs implements pipeline.InputsValidator.
func (s *Settings) ValidateInputs(from map[string][]pipeline.Stage) error {
	if sp := space.Chosen(from["path"]); sp != nil && s.Choose != "" {
		return s.checkSpace(sp)
	}
	return nil
}

// parse reads the genotype in its space. Errors are *pipeline.SettingError.
func (s *Settings) parse() (*space.Space, space.Architecture, error) {
	sp, err := s.named()
	if err != nil {
		return nil, nil, err
	}
	text := strings.TrimSpace(s.Genotype)
	if text == "" {
		return nil, nil, &pipeline.SettingError{Path: "genotype", Err: fmt.Errorf("no architecture is given; give its notation or one of the names %s, or give path, or choose (%s)", strings.Join(names(sp), ", "), strings.Join(Choices(), ", "))}
	}
	for _, named := range sp.Published() {
		if named.Name == text {
			return sp, named.Architecture, nil
		}
	}
	a, err := sp.Parse(text)
	if err != nil {
		return nil, nil, &pipeline.SettingError{Path: "genotype", Err: err}
	}
	return sp, a, nil
}

// names returns the names of the published architectures of a space.
func names(sp *space.Space) []string {
	var out []string
	for _, n := range sp.Published() {
		out = append(out, n.Name)
	}
	return out
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
func (s *stage) Run(ctx context.Context, job *pipeline.Job) error {
	found, err := s.found(ctx, job)
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
	if s.Neighbors > 0 {
		added, err := s.addNeighbors(found, sp, a)
		if err != nil {
			return err
		}
		job.Metric("neighbors", float64(added))
		lines = append(lines, fmt.Sprintf("with %s, no two of which compute the same", words.Count(added, "neighbor")))
	}
	if s.Choose != "" {
		size := found.Candidates[0].Metrics
		for _, name := range []string{cost.MultiplyAdds, cost.Parameters, ShareMetric} {
			job.Metric(name, size[name])
		}
		if ms, ok := size[cost.Latency]; ok {
			job.Metric(cost.Latency, ms)
		}
		lines = append(lines, fmt.Sprintf("%s: %.4g multiply-adds, %.3g of the largest architecture's, %.6g parameters", s.Choose, size[cost.MultiplyAdds], size[ShareMetric], size[cost.Parameters]))
	}
	job.Summary(strings.Join(lines, "\n"))
	return result.WriteArchitecture(job.Output("architecture"), found)
}

// mostNeighbors is how many neighbors are handed on at most: more are no candidates but a space.
const mostNeighbors = 20_000

// addNeighbors adds the neighborhood to the candidates, after those that are there, and returns how many it has added.
func (s *Settings) addNeighbors(found *result.Architecture, sp *space.Space, a space.Architecture) (int, error) {
	size := 0
	for d := 1; d <= min(s.Neighbors, sp.Diameter()) && size <= mostNeighbors; d++ {
		size += sp.ShellSizeOf(a, d)
	}
	if size > mostNeighbors {
		return 0, &pipeline.SettingError{Path: "neighbors", Err: fmt.Errorf("the architecture has more than %d neighbors within distance %d; give a smaller radius", mostNeighbors, s.Neighbors)}
	}
	if len(found.Candidates) == 0 {
		found.Candidates = append(found.Candidates, result.Candidate{Architecture: found.Architecture})
	}
	known := map[string]bool{}
	for _, c := range found.Candidates {
		one, err := sp.Parse(c.Architecture)
		if err != nil {
			return 0, err
		}
		known[sp.Class(one)] = true
	}
	before := len(found.Candidates)
	for _, n := range sp.Neighbors(a, s.Neighbors) {
		if class := sp.Class(n); !known[class] {
			known[class] = true
			found.Candidates = append(found.Candidates, result.Candidate{Architecture: sp.Format(n)})
		}
	}
	return len(found.Candidates) - before, nil
}

// found returns the architecture that the settings give or choose.
func (s *stage) found(ctx context.Context, job *pipeline.Job) (*result.Architecture, error) {
	if s.Choose == "" {
		return s.read()
	}
	sp, err := s.named()
	if err != nil {
		return nil, err
	}
	if in, ok := job.Input("path"); ok {
		model, err := os.ReadFile(in.Path)
		if err != nil {
			return nil, fmt.Errorf("loading the supernet: %w", err)
		}
		if sp, _, err = supernet.Of(model); err != nil {
			return nil, err
		}
		if err := s.checkSpace(sp); err != nil {
			return nil, err
		}
	}
	var data *dataset.Dataset
	if in, ok := job.Input("dataset"); ok {
		if data, err = dataset.Load(in.Path); err != nil {
			return nil, err
		}
	}
	return s.choose(ctx, job, sp, s.skeleton(sp, data))
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
