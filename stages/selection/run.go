package selection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// level is an evaluator at one training budget.
type level struct {
	name  string
	cost  float64 // of an evaluation, as a share of one at the last level
	cache *score.Cache
}

// candidate is an architecture on a rung.
type candidate struct {
	arch   space.Architecture
	place  int
	result score.Result
	value  objective.Value
	smooth smoothed
}

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) (err error) {
	goal, err := objective.New(s.Objective)
	if err != nil {
		return err
	}
	sp, candidates, err := s.given(job)
	if err != nil {
		return err
	}
	if err := s.Smooth.checkSpace("smooth", sp); err != nil {
		return err
	}
	settings, err := s.evaluatorOn(func(port string) bool { _, ok := job.Input(port); return ok })
	if err != nil {
		return err
	}
	var levels []level
	var sample score.Sample
	var about string
	if settings.Kind == evaluator.Table {
		levels, sample, about, err = s.table(job, sp)
	} else {
		o, openErr := evaluator.OpenJob(ctx, job, "evaluator", settings, evaluator.Inputs{Open: s.open, Space: sp, Attempted: func(a command.Attempt) error {
			job.Log.Debug("the command has run", "architecture", a.Architecture, "attempt", a.Attempt, "exit", a.Exit, "failure", a.Failure, "stdout", a.Stdout, "stderr", a.Stderr)
			return nil
		}})
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, o.Close()) }()
		if o.Space.Reference() != sp.Reference() {
			return fmt.Errorf("the candidates are of space %s, and the supernet of %s", sp.Name, o.Space.Name)
		}
		for i, c := range o.Caches(job, 0) {
			levels = append(levels, level{o.Levels[i].Name, o.Levels[i].Cost, c})
		}
		sample, about = o.Sample, o.About
	}
	if err != nil {
		return err
	}
	job.Info("%d candidates, compared by %s; the score is %s", len(candidates), s.by(), about)
	f := &result.Funnel{Space: sp.Reference(), By: s.by(), Rungs: []result.Rung{}}
	for i, l := range levels {
		keep := s.Finalists
		if i+1 < len(levels) {
			keep = max(int(math.Ceil(s.Keep*float64(len(candidates)))), 1)
		}
		began := time.Now()
		ranked, rung, err := s.rung(ctx, sp, goal, l, candidates, keep)
		if err != nil {
			return err
		}
		f.Rungs = append(f.Rungs, *rung)
		job.Info("%s: kept %d of %d (%d failed) in %.0f s; the best is %s", l.name, rung.Kept, rung.Candidates, rung.Failed, time.Since(began).Seconds(), sp.Format(ranked[0].arch))
		candidates = ranked
		if i+1 < len(levels) {
			candidates = ranked[:rung.Kept]
		}
	}
	return s.write(job, sp, f, candidates, levels[len(levels)-1].cache.Record(sp, sample), about)
}

// table opens the evaluator of a table.
func (s *stage) table(job *pipeline.Job, sp *space.Space) ([]level, score.Sample, string, error) {
	in, _ := job.Input("table")
	t, err := table.Open(in.Path)
	if err != nil {
		return nil, score.Sample{}, "", err
	}
	if t.Space().Reference() != sp.Reference() {
		return nil, score.Sample{}, "", fmt.Errorf("the candidates are of space %s, and the table of %s", sp.Name, t.Space().Name)
	}
	e, err := table.NewEvaluator(t, "", s.Metrics...)
	if err != nil {
		return nil, score.Sample{}, "", &pipeline.SettingError{Path: "metrics", Err: err}
	}
	about := e.Column().Meaning.String()
	return []level{{e.Column().Name, 1, score.NewCache(e)}}, score.Sample{Evaluator: "table: " + about}, about, nil
}

// given returns the candidates of the earlier stages, each once: the best of each, then the second of each, and so on.
func (s *stage) given(job *pipeline.Job) (*space.Space, []candidate, error) {
	var sp *space.Space
	var lists [][]space.Architecture
	longest := 0
	for _, in := range job.List("architecture") {
		found, err := result.ReadArchitecture(in.Path)
		if err != nil {
			return nil, nil, err
		}
		of, chosen, err := found.Parse()
		if err != nil {
			return nil, nil, err
		}
		if sp == nil {
			sp = of
		}
		if of.Reference() != sp.Reference() {
			return nil, nil, fmt.Errorf("stage %s has candidates of space %s, and others are of %s; choose among one space at a time", in.Stage, of.Name, sp.Name)
		}
		list := []space.Architecture{chosen}
		for _, c := range found.Candidates {
			a, err := sp.Parse(c.Architecture)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, a)
		}
		lists = append(lists, list)
		longest = max(longest, len(list))
	}
	var out []candidate
	seen := map[string]bool{}
	for i := range longest {
		for _, list := range lists {
			if i < len(list) && !seen[list[i].Key()] {
				seen[list[i].Key()] = true
				out = append(out, candidate{arch: list[i], place: len(out) + 1})
			}
		}
	}
	if s.Candidates > 0 && len(out) > s.Candidates {
		out = out[:s.Candidates]
	}
	return sp, out, nil
}

// rung evaluates the candidates and returns those that did not fail, best first, with what is written of the rung.
func (s *stage) rung(ctx context.Context, sp *space.Space, goal *objective.Objective, l level, candidates []candidate, keep int) ([]candidate, *result.Rung, error) {
	archs := make([]space.Architecture, len(candidates))
	for i, c := range candidates {
		archs[i] = c.arch
	}
	results, err := l.cache.Evaluate(ctx, archs)
	if err != nil {
		return nil, nil, err
	}
	ranked, err := s.values(goal, candidates, results)
	if err != nil {
		return nil, nil, err
	}
	rung := &result.Rung{Name: l.name, Cost: l.cost * float64(len(candidates)), Candidates: len(candidates), Failed: len(candidates) - len(ranked), Ranked: []result.Contender{}}
	if len(ranked) == 0 {
		return nil, nil, fmt.Errorf("%s: none of the %d candidates could be evaluated; the first, %s: %s", l.name, len(candidates), sp.Format(archs[0]), results[0].Failure)
	}
	numbers := make([]float64, len(ranked))
	archs = archs[:0]
	for i, c := range ranked {
		numbers[i] = c.value.Numbers[0]
		archs = append(archs, c.arch)
	}
	smooth, err := s.Smooth.smooth(sp, archs, numbers)
	if err != nil {
		return nil, nil, err
	}
	for i := range ranked {
		ranked[i].smooth = smooth[i]
	}
	slices.SortStableFunc(ranked, func(a, b candidate) int { return objective.Compare(b.compared(), a.compared()) })
	rung.Kept = min(keep, len(ranked))
	for i, c := range ranked {
		rung.Ranked = append(rung.Ranked, s.contender(sp, c, i < rung.Kept))
	}
	return ranked, rung, nil
}

// values gives the candidates that did not fail their values.
func (s *stage) values(goal *objective.Objective, candidates []candidate, results []score.Result) ([]candidate, error) {
	ranking := goal.NewRanking()
	var out []candidate
	var parts []objective.Parts
	for i, c := range candidates {
		c.result = results[i]
		if !c.result.OK() {
			if ranking != nil {
				ranking.AddFailed()
			}
			continue
		}
		c.result.Metrics = maps.Clone(c.result.Metrics)
		if c.result.Metrics == nil {
			c.result.Metrics = map[string]float64{}
		}
		c.result.Metrics[place] = float64(c.place)
		p, err := goal.Of(c.result)
		if err != nil {
			return nil, err
		}
		if ranking != nil {
			ranking.Add(p)
		}
		out, parts = append(out, c), append(parts, p)
	}
	for i := range out {
		if ranking == nil {
			out[i].value = parts[i].Value()
			continue
		}
		out[i].value = objective.Value{Numbers: []float64{ranking.Shared(parts[i]) + ranking.Own(parts[i])}, Violation: parts[i].Violation}
	}
	return out, nil
}

// compared is the value that a candidate is compared by.
func (c candidate) compared() objective.Value {
	return objective.Value{Numbers: []float64{c.smooth.value}, Violation: c.value.Violation}
}

func (s *stage) contender(sp *space.Space, c candidate, kept bool) result.Contender {
	out := result.Contender{Architecture: sp.Format(c.arch), Place: c.place, Value: c.value.Numbers[0], Near: c.smooth.near, Metrics: c.metrics(), Kept: kept}
	if s.Smooth.By != Alone {
		out.Smoothed = &c.smooth.value
	}
	if c.smooth.known {
		out.Uncertainty = &c.smooth.std
	}
	return out
}

// metrics returns what the evaluator gave beside the score.
func (c candidate) metrics() map[string]float64 {
	out := maps.Clone(c.result.Metrics)
	delete(out, place)
	for name, v := range map[string]float64{"loss": c.result.Loss, "accuracy": c.result.Accuracy} {
		if v != 0 {
			out[name] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// write writes the outputs and metrics.
func (s *stage) write(job *pipeline.Job, sp *space.Space, f *result.Funnel, ranked []candidate, scores *result.Scores, about string) error {
	settings, err := result.SettingsOf(s.Settings)
	if err != nil {
		return err
	}
	best := ranked[0]
	a := result.NewArchitecture(sp, best.arch)
	a.Algorithm, a.Seed, a.Settings, a.OwnScore = "selection", job.Seed, settings, &best.result.Score
	for _, c := range ranked[:min(s.Finalists, len(ranked))] {
		one := result.Candidate{Architecture: sp.Format(c.arch), Score: c.result.Score, Metrics: c.metrics()}
		if s.Smooth.By != Alone {
			one.NeighborhoodScore = &c.smooth.value
		}
		a.Candidates = append(a.Candidates, one)
	}
	if s.Smooth.By != Alone {
		a.NeighborhoodScore = &best.smooth.value
		job.Metric("neighborhood_score", best.smooth.value)
	}
	if best.smooth.known {
		job.Metric("neighborhood_std", best.smooth.std)
	}
	if err := errors.Join(result.WriteArchitecture(job.Output("architecture"), a), result.WriteFunnel(job.Output("funnel"), f), result.WriteScores(job.Output("scores"), scores)); err != nil {
		return err
	}
	evaluations, failed, cost := 0, 0, 0.0
	lines := []string{fmt.Sprintf("%s, number %d of the %d given", a.Architecture, best.place, f.Rungs[0].Candidates)}
	for _, r := range f.Rungs {
		evaluations, failed, cost = evaluations+r.Candidates, failed+r.Failed, cost+r.Cost
		lines = append(lines, fmt.Sprintf("%s: kept %d of %d", r.Name, r.Kept, r.Candidates))
	}
	if failed > 0 {
		job.Warn("%d of %d evaluations failed; those architectures were not kept", failed, evaluations)
	}
	if best.value.Violation > 0 {
		job.Warn("no candidate keeps the constraints; this one breaks them least: %s", s.Objective.Broken(best.result))
	}
	job.Metric("own_score", best.result.Score)
	metrics := best.metrics()
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if name != "accuracy" && name != "loss" {
			job.Metric(name, metrics[name])
		}
	}
	if best.result.Accuracy > 0 {
		job.Metric("valid_top1", best.result.Accuracy)
	}
	job.Metric("candidates", float64(f.Rungs[0].Candidates))
	job.Metric("evaluations", float64(evaluations))
	job.Metric("evaluations_failed", float64(failed))
	job.Metric("evaluation_cost", cost)
	job.Summary(strings.Join(append(lines, "Compared by "+f.By+". The score is "+about+"."), "\n"))
	return nil
}
