package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// opened is the evaluator of a run, at every training budget behind a cache.
type opened struct {
	space      *space.Space
	fidelities []sampling.Fidelity
	caches     []*score.Cache // of the fidelities
	sample     score.Sample
	about      string               // what the score is, in words
	pool       []space.Architecture // what there are answers for; nil is the space
	close      func() error
}

// main returns what the evaluator at the highest training budget has answered.
func (o *opened) main() *score.Cache { return o.caches[len(o.caches)-1] }

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) (err error) {
	goal, err := objective.New(s.Objective)
	if err != nil {
		return err
	}
	log, err := openAttempts(job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	o, err := s.evaluator(ctx, job, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := s.Neighborhood.CheckSpaceUnder("neighborhood", o.space); err != nil {
		return err
	}
	job.Info("%s with %d evaluations; it sees %s", s.Name(), s.Budget, o.about)
	began, shown := time.Now(), time.Time{}
	out, err := sampling.Search(ctx, o.space, s.Settings.Settings, o.fidelities, sampling.Options{
		Seed: job.Seed, Objective: goal, Pool: o.pool,
		Progress: func(spent float64, best *sampling.Candidate) error {
			if time.Since(shown) < 200*time.Millisecond {
				return nil
			}
			shown = time.Now()
			rate := spent / time.Since(began).Seconds()
			p := event.Progress{Phase: "search", Done: int(spent), Total: s.Budget, Unit: "evaluation", Rate: rate, Remaining: (float64(s.Budget) - spent) / rate}
			if best != nil {
				p.Note = o.space.Format(best.Architecture)
			}
			job.Progress(p)
			return nil
		},
	})
	if err != nil {
		return err
	}
	if err := log.publish(job.Output("attempts")); err != nil {
		return err
	}
	return s.write(ctx, job, o, out)
}

// evaluator opens what the settings ask for.
func (s *stage) evaluator(ctx context.Context, job *pipeline.Job, log *attempts) (*opened, error) {
	path := func(port string) string {
		a, _ := job.Input(port)
		return a.Path
	}
	settings, err := s.evaluatorOn(func(port string) bool { return path(port) != "" })
	if err != nil {
		return nil, err
	}
	if settings.Kind == evaluator.Table {
		return s.table(ctx, path("table"), path("dataset"), settings)
	}
	sp, err := space.ByName(s.Space)
	if err != nil {
		return nil, err
	}
	e, err := evaluator.OpenJob(ctx, job, "evaluator", settings, evaluator.Inputs{
		Open: s.open, Space: sp,
		Attempted: func(a command.Attempt) error {
			level := job.Log.Debug
			if a.Failure != "" {
				level = job.Log.Warn
			}
			level("the command has run", "architecture", a.Architecture, "attempt", a.Attempt, "exit", a.Exit, "failure", a.Failure, "stdout", a.Stdout, "stderr", a.Stderr)
			return log.add(a)
		},
	})
	if err != nil {
		return nil, err
	}
	o := &opened{space: e.Space, sample: e.Sample, about: e.About, pool: e.Pool, close: e.Close}
	for i, cache := range e.Caches(job, s.Budget) {
		o.add(e.Levels[i], cache)
	}
	return o, nil
}

func (o *opened) add(l evaluator.Level, cache *score.Cache) {
	o.caches = append(o.caches, cache)
	o.fidelities = append(o.fidelities, sampling.Fidelity{Name: l.Name, Cost: l.Cost, Evaluator: cache})
}

// table opens the evaluator of a table. Costs are those of the networks that the settings describe for the images of a dataset.
func (s *stage) table(ctx context.Context, path, data string, settings evaluator.Settings) (*opened, error) {
	t, err := table.Open(path)
	if err != nil {
		return nil, err
	}
	levels, about, err := s.columns(t)
	if err != nil {
		return nil, err
	}
	o := &opened{space: t.Space(), sample: score.Sample{Evaluator: "table: " + about}, about: about, close: func() error { return nil }}
	for _, l := range levels {
		if len(settings.Costs.Metrics) > 0 {
			if l.Evaluator, err = s.costs(ctx, l.Evaluator, t.Space(), data, settings); err != nil {
				return nil, err
			}
		}
		o.add(l, score.NewCache(l.Evaluator))
	}
	return o, nil
}

// costs adds costs to the answers of a table.
func (s *stage) costs(ctx context.Context, e score.Evaluator, sp *space.Space, data string, settings evaluator.Settings) (score.Evaluator, error) {
	d, err := dataset.Load(data)
	if err != nil {
		return nil, err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return cost.New(e, rt, sp, settings.Network.Macro(sp, d), settings.Costs)
}

// attempts is the log of a command's runs. It lies in the stage's scratch folder as long as the search runs, so that what was
// logged before a kill is kept, and becomes an output then.
type attempts struct {
	path string
	file *os.File
}

func openAttempts(job *pipeline.Job) (*attempts, error) {
	path := filepath.Join(job.Scratch, "attempts.jsonl")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("logging what the command says: %w", err)
	}
	return &attempts{path, file}, nil
}

func (l *attempts) add(a command.Attempt) error {
	line, err := json.Marshal(a)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("logging what the command says: %w", err)
	}
	return nil
}

func (l *attempts) publish(path string) error {
	text, err := os.ReadFile(l.path)
	if err != nil {
		return fmt.Errorf("logging what the command says: %w", err)
	}
	return atomicfile.WriteBytes(path, text)
}

func (l *attempts) close() error { return l.file.Close() }
