package evaluator

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/known"
)

// Caches returns one cache in front of each level of an evaluator, in their order. What it has answered lies in the job's scratch
// folder, so that a killed stage asks for nothing twice: what lies there already is known again. Progress is reported to the job.
//
// budget is how many evaluations the stage makes in all, where that is known before and each costs the same: progress is that of
// the whole stage then, and otherwise that of the architectures that are asked for at once. 0 stands for a budget that is not known.
func (o *Opened) Caches(job *pipeline.Job, budget int) []*score.Cache {
	if len(o.Levels) > 1 {
		budget = 0
	}
	out := make([]*score.Cache, len(o.Levels))
	for i, l := range o.Levels {
		out[i] = o.cache(job, l, budget, filepath.Join(job.Scratch, fmt.Sprintf("scores-%d.safetensors", i)))
	}
	return out
}

// sayEvery is how often progress within a budget is a line of its own where lines are printed.
const sayEvery = 5 * time.Second

func (o *Opened) cache(job *pipeline.Job, l Level, budget int, file string) *score.Cache {
	cache := score.NewCache(l.Evaluator)
	cache.Chunk = l.Chunk
	sample := o.Sample
	sample.Evaluator += " " + l.Name
	before := 0 // evaluations of earlier questions
	switch n, err := cache.Restore(file, o.Space, sample); {
	case err != nil:
		job.Warn("%v; all architectures are evaluated again", err)
	case n > 0:
		job.Info("continuing with %d architectures evaluated at %s", n, l.Name)
		before = n
	}
	known := before
	began := time.Now()
	saved, said := began, began
	cache.Answered = func(done, total int) error {
		p := event.Progress{Phase: "evaluate", Done: done, Total: total, Unit: "architecture", Remaining: -1, Note: l.Name}
		if budget > 0 {
			p.Done, p.Total = before+done, max(budget, before+total)
			p.Rate = float64(p.Done-known) / max(time.Since(began).Seconds(), 1e-6)
			p.Remaining = float64(p.Total-p.Done) / p.Rate
		}
		if done == total {
			before += total
		}
		// Of thousands of questions that are answered at once a line now and then is enough.
		if p.Final = done == total && (budget == 0 || p.Done == p.Total || time.Since(said) > sayEvery); p.Final {
			said = time.Now()
		}
		job.Progress(p)
		if time.Since(saved) < 2*time.Second && l.Chunk != 1 {
			return nil
		}
		saved = time.Now()
		return cache.Keep(file, o.Space, sample)
	}
	return cache
}

// OpenJob is Open for a stage: the inputs are those of the job's ports dataset, path, parameters, weights and trained, the last
// before weights, and scores. What in has of them is overwritten.
func OpenJob(ctx context.Context, job *pipeline.Job, path string, st Settings, in Inputs) (*Opened, error) {
	port := func(name string) string {
		a, _ := job.Input(name)
		return a.Path
	}
	in.Dataset, in.Path, in.Parameters, in.Weights = port("dataset"), port("path"), port("parameters"), port("weights")
	if trained := port("trained"); trained != "" {
		in.Weights = trained
	}
	for _, a := range job.List("scores") {
		recorded, err := result.ReadScores(a.Path)
		if err != nil {
			return nil, err
		}
		stage, _, _ := strings.Cut(a.Stage, "@")
		in.Scores = append(in.Scores, known.Source{Stage: stage, Scores: recorded})
	}
	in.Seed, in.Scratch, in.Info = job.Seed, job.Scratch, job.Info
	return Open(ctx, path, st, in)
}
