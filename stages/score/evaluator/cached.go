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
func (o *Opened) Caches(job *pipeline.Job) []*score.Cache {
	out := make([]*score.Cache, len(o.Levels))
	for i, l := range o.Levels {
		out[i] = o.cache(job, l, filepath.Join(job.Scratch, fmt.Sprintf("scores-%d.safetensors", i)))
	}
	return out
}

func (o *Opened) cache(job *pipeline.Job, l Level, file string) *score.Cache {
	cache := score.NewCache(l.Evaluator)
	cache.Chunk = l.Chunk
	sample := o.Sample
	sample.Evaluator += " " + l.Name
	switch n, err := cache.Restore(file, o.Space, sample); {
	case err != nil:
		job.Warn("%v; all architectures are evaluated again", err)
	case n > 0:
		job.Info("continuing with %d architectures evaluated at %s", n, l.Name)
	}
	saved := time.Now()
	cache.Answered = func(done, total int) error {
		job.Progress(event.Progress{Phase: "evaluate", Done: done, Total: total, Unit: "architecture", Remaining: -1, Note: l.Name, Final: done == total})
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
