package neighborhood

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/plateau-nas/plateau/stages/space"
)

// ProcessSettings choose a Gaussian process over architectures. They can stand in the settings of a stage.
type ProcessSettings struct {
	Length float64 `yaml:"length" doc:"Of the Gaussian process: by how many changes of an architecture its score tells a third (exp(-1)) of another's."`
	Noise  float64 `yaml:"noise" doc:"Of the Gaussian process: the variance of the noise in a score, in units of the variance of what is behind it."`
}

// DefaultProcessSettings returns the length that an edge or two of a cell have and as much noise as signal, which is what
// short trainings of good architectures have.
func DefaultProcessSettings() ProcessSettings { return ProcessSettings{Length: 2, Noise: 1} }

// Validate reports every mistake, each as a *pipeline.SettingError with a path relative to the settings.
func (st ProcessSettings) Validate() error { return st.ValidateUnder("") }

// ValidateUnder is Validate with paths below the setting that holds these settings.
func (st ProcessSettings) ValidateUnder(path string) error {
	r := report{path: path}
	if !(st.Length > 0) || math.IsInf(st.Length, 0) {
		r.add("length", "%v; give a number of changes above 0, such as 2", st.Length)
	}
	if !(st.Noise >= 0) || math.IsInf(st.Noise, 0) {
		r.add("noise", "%v; give 0 for exact scores, or the noise's share such as 1 for as much noise as signal", st.Noise)
	}
	return errors.Join(r.errs...)
}

// Process is a Gaussian process over the architectures of a space (Rasmussen and Williams 2006, chapter 2): a score is
// signal plus noise, and the signals of two architectures at distance d have the correlation exp(-d / Length). It is the
// smoothing that knows what it does not know: near many scores it averages them, far from all it falls back to their mean.
type Process struct{ settings ProcessSettings }

// NewProcess returns the process of the settings. The error reports every mistake in them.
func NewProcess(st ProcessSettings) (*Process, error) {
	if err := st.Validate(); err != nil {
		return nil, err
	}
	return &Process{settings: st}, nil
}

// Correlation returns the prior correlation of the signals of two architectures of the space, which is above 0 and at most 1.
func (p *Process) Correlation(s *space.Space, a, b space.Architecture) float64 {
	return math.Exp(-float64(s.Distance(a, b)) / p.settings.Length)
}

// Posterior is what a process says of a space's architectures once scores are known.
type Posterior struct {
	process *Process
	space   *space.Space
	known   []space.Architecture
	mean    float64 // of the scores
	scale   float64 // standard deviation of the scores
	factor  mat.Cholesky
	weights *mat.VecDense // (K + noise)^-1 z, of the standardized scores z
}

// Jitter is what is added to the diagonal of a matrix that rounding, equal architectures without noise, or a distance that
// no kernel has made indefinite. It grows tenfold until the matrix can be factorized.
const (
	leastJitter = 1e-10
	mostJitter  = 1e-2
)

// Fit returns the posterior given the scores of some architectures, one each, at least one. An architecture may come more
// than once, as with scores of several seeds: each is a measurement of the same signal.
//
// Scores are standardized inside: their mean is the prior mean, and their variance that of signal and noise together. Scores
// that are all equal, as a single one, have no spread: the mean is that score everywhere then, with a deviation of 0.
// The error names a score that is not a number, or an architecture that is none of the space.
func (p *Process) Fit(s *space.Space, architectures []space.Architecture, scores []float64) (*Posterior, error) {
	if len(architectures) == 0 || len(architectures) != len(scores) {
		return nil, fmt.Errorf("fitting a Gaussian process to %d architectures with %d scores: each needs one, and at least one is needed", len(architectures), len(scores))
	}
	out := &Posterior{process: p, space: s}
	for i, a := range architectures {
		if err := s.Check(a); err != nil {
			return nil, fmt.Errorf("fitting a Gaussian process: %w", err)
		}
		if math.IsNaN(scores[i]) || math.IsInf(scores[i], 0) {
			return nil, fmt.Errorf("fitting a Gaussian process: the score of %s is %v; leave out what could not be evaluated", s.Format(a), scores[i])
		}
		out.known = append(out.known, a.Clone())
	}
	out.mean, out.scale = moments(scores)
	n := len(scores)
	z := mat.NewVecDense(n, nil)
	kernel := mat.NewSymDense(n, nil)
	for i, a := range out.known {
		if out.scale > 0 {
			z.SetVec(i, (scores[i]-out.mean)/out.scale)
		}
		kernel.SetSym(i, i, 1+p.settings.Noise)
		for j := range i {
			kernel.SetSym(i, j, p.Correlation(s, a, out.known[j]))
		}
	}
	for jitter := leastJitter; !out.factor.Factorize(kernel); jitter *= 10 {
		if jitter > mostJitter {
			return nil, fmt.Errorf("fitting a Gaussian process to %d architectures: their correlations contradict each other; use a larger noise than %v or a smaller length than %v", n, p.settings.Noise, p.settings.Length)
		}
		for i := range n {
			kernel.SetSym(i, i, 1+p.settings.Noise+jitter)
		}
	}
	out.weights = mat.NewVecDense(n, nil)
	// The factor exists, so the only error is mat.Condition, which tells of a badly conditioned but usable solution.
	var condition mat.Condition
	if err := out.factor.SolveVecTo(out.weights, z); err != nil && !errors.As(err, &condition) {
		return nil, fmt.Errorf("fitting a Gaussian process: %w", err)
	}
	return out, nil
}

// Known returns how many scores the posterior stands on.
func (p *Posterior) Known() int { return len(p.known) }

// At returns the mean of the posterior at an architecture and the standard deviation of the signal there, without the
// noise of another score, both in units of the score.
func (p *Posterior) At(a space.Architecture) (mean, std float64) {
	n := len(p.known)
	near := mat.NewVecDense(n, nil)
	for i, k := range p.known {
		near.SetVec(i, p.process.Correlation(p.space, a, k))
	}
	mean = p.mean + p.scale*mat.Dot(near, p.weights)
	// 1 - k' (K + noise)^-1 k, as a share of the signal's variance.
	solved := mat.NewVecDense(n, nil)
	_ = p.factor.SolveVecTo(solved, near) // at most mat.Condition, as in Fit
	rest := max(0, 1-mat.Dot(near, solved))
	return mean, p.scale * math.Sqrt(rest/(1+p.process.settings.Noise))
}
