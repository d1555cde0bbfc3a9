package neighborhood

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// StageSettings are the settings of the stage kind "neighborhood".
type StageSettings struct {
	Settings    `yaml:",inline"`
	Finalists   int `yaml:"finalists" doc:"Candidates of the search that are ranked, from its best; 0 takes all."`
	ScoreImages int `yaml:"score_images" doc:"Validation images that architectures are scored on, in whole batches; 0 takes all. Scores of the search are used again when it is the same there."`
}

// Kind returns the stage kind "neighborhood", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "neighborhood",
		Version: 2,
		Doc:     "Scores the neighborhoods of a search's finalists with the shared weights and ranks the finalists by them.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "Architectures are scored on its validation split."},
			{Name: "architecture", Type: "architecture", Doc: "The search's result with its finalists."},
			{Name: "parameters", Type: "parameters", Doc: "The supernet's parameter index."},
			{Name: "path", Type: "path-supernet", Doc: "The supernet that computes one architecture."},
			{Name: "weights", Type: "shared-weights", Doc: "The shared weights."},
			{Name: "scores", Type: "scores", Optional: true, Doc: "Scores that the search has taken with the same weights."},
		},
		Outputs: []pipeline.Output{
			{Name: "ranking", Type: "ranking", File: "ranking.json", Doc: "Own score, aggregate, spread, worst neighbor and table of changes of each finalist."},
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The finalist with the best neighborhood."},
		},
		New: func() pipeline.Stage {
			return &stage{StageSettings: StageSettings{Settings: DefaultSettings(), ScoreImages: 1000}, open: open}
		},
	}
}

type stage struct {
	StageSettings `yaml:",inline"`
	open          runtime.Opener
}

var (
	_ pipeline.Validator       = (*stage)(nil)
	_ pipeline.InputsValidator = (*stage)(nil)
)

// Validate implements pipeline.Validator.
func (s *stage) Validate() error {
	errs := []error{s.Settings.Validate()}
	if s.Finalists < 0 {
		errs = append(errs, &pipeline.SettingError{Path: "finalists", Err: fmt.Errorf("%d; give a number of finalists, or 0 for all", s.Finalists)})
	}
	if s.ScoreImages < 0 {
		errs = append(errs, &pipeline.SettingError{Path: "score_images", Err: fmt.Errorf("%d images; give a number of images, or 0 for all", s.ScoreImages)})
	}
	return errors.Join(errs...)
}

// ValidateInputs implements pipeline.InputsValidator.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	if sp := space.Chosen(from["path"]); sp != nil {
		return s.CheckSpace(sp)
	}
	return nil
}

const scoresFile = "scores.safetensors"

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) (err error) {
	path := func(port string) string {
		a, _ := job.Input(port)
		return a.Path
	}
	found, err := result.ReadArchitecture(path("architecture"))
	if err != nil {
		return err
	}
	sp, finalists, err := s.finalists(found)
	if err != nil {
		return err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	data, err := dataset.Load(path("dataset"))
	if err != nil {
		return err
	}
	weights, sharing, err := s.sharing(ctx, rt, sp, data, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sharing.Close(), weights.Close()) }()
	cache := score.NewCache(sharing)
	given, err := s.recall(job, cache, sp, sharing.Sample())
	if err != nil {
		return err
	}
	objective, err := NewObjective(sp, s.Settings, cache)
	if err != nil {
		return err
	}
	before := len(cache.Known())
	began, saved := time.Now(), time.Now()
	cache.Answered = func(done, total int) error {
		rate := float64(done) / time.Since(began).Seconds()
		job.Progress(event.Progress{Phase: "score", Done: done, Total: total, Unit: "architecture", Rate: rate, Remaining: float64(total-done) / rate, Final: done == total})
		if time.Since(saved) < 2*time.Second {
			return nil
		}
		saved = time.Now()
		return cache.Keep(filepath.Join(job.Scratch, scoresFile), sp, sharing.Sample())
	}
	scored, err := objective.Score(ctx, finalists, seed.New(job.Seed, "neighbors"))
	if err != nil {
		return err
	}
	job.Info("%d architectures scored on %d images; %d more were known", len(cache.Known())-before, sharing.Images(), before)
	if scored = slices.DeleteFunc(scored, func(sc Scored) bool {
		if !sc.OK() {
			job.Warn("%s could not be evaluated and is not ranked: %s", sp.Format(sc.Center), sc.Failure)
		}
		return !sc.OK()
	}); len(scored) == 0 {
		return fmt.Errorf("none of the %d finalists could be evaluated", len(finalists))
	}
	// What a killed run of this stage had scored counts as scored: the ranking must not depend on the kill.
	ranking, err := s.rank(sp, scored, len(cache.Known())-given)
	if err != nil {
		return err
	}
	return s.write(job, sp, found, ranking)
}

// finalists returns the architectures to rank.
func (s *stage) finalists(found *result.Architecture) (*space.Space, []space.Architecture, error) {
	sp, chosen, err := found.Parse()
	if err != nil {
		return nil, nil, err
	}
	if err := s.CheckSpace(sp); err != nil {
		return nil, nil, err
	}
	out := []space.Architecture{chosen}
	for _, c := range found.Candidates {
		a, err := sp.Parse(c.Architecture)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(out, a.Equal) {
			out = append(out, a)
		}
	}
	if s.Finalists > 0 && len(out) > s.Finalists {
		out = out[:s.Finalists]
	}
	return sp, out, nil
}

// sharing loads the supernet with its weights.
func (s *stage) sharing(ctx context.Context, rt *runtime.Runtime, sp *space.Space, data *dataset.Dataset, path func(string) string) (*runtime.State, *score.WeightSharing, error) {
	index, err := params.Load(path("parameters"))
	if err != nil {
		return nil, nil, err
	}
	flat, err := supernet.LoadWeights(path("weights"), index)
	if err != nil {
		return nil, nil, err
	}
	model, err := os.ReadFile(path("path"))
	if err != nil {
		return nil, nil, fmt.Errorf("loading the supernet: %w", err)
	}
	_, macro, err := supernet.Of(model)
	if err != nil {
		return nil, nil, err
	}
	if data, err = data.Reduce(macro.Image[1], macro.Image[2]); err != nil {
		return nil, nil, err
	}
	weights, err := rt.NewState(len(flat))
	if err != nil {
		return nil, nil, err
	}
	if err := weights.Write(flat); err != nil {
		return nil, nil, errors.Join(err, weights.Close())
	}
	sharing, err := score.NewWeightSharing(ctx, rt, model, sp, weights, data.Valid, data.Mean, data.Std, score.SharingOptions{Images: s.ScoreImages})
	if err != nil {
		return nil, nil, errors.Join(err, weights.Close())
	}
	return weights, sharing, nil
}

// recall makes known what the search has scored, if with the weights that are used here, and what a killed run of this
// stage has. It returns how many of them the search gave.
func (s *stage) recall(job *pipeline.Job, cache *score.Cache, sp *space.Space, on score.Sample) (given int, err error) {
	if in, ok := job.Input("scores"); ok {
		weights, _ := job.Input("weights")
		recorded, err := result.ReadScores(in.Path)
		if err != nil {
			return 0, err
		}
		switch {
		case in.Stage != weights.Stage:
			job.Warn("the scores come from stage %s and the weights from %s; the scores are not used", in.Stage, weights.Stage)
		case cache.Recall(sp, on, recorded) == 0 && len(recorded.Scores) > 0:
			job.Info("the search scored on %d images in batches of %d, this stage scores on %d in batches of %d; its scores are not used", recorded.Images, recorded.Batch, on.Images, on.Batch)
		}
	}
	given = len(cache.Known())
	switch n, err := cache.Restore(filepath.Join(job.Scratch, scoresFile), sp, on); {
	case err != nil:
		job.Warn("%v; all architectures are scored again", err)
	case n > 0:
		job.Info("continuing with %d architectures scored", n-given)
	}
	return given, nil
}

// rank orders the finalists by the aggregate of their neighborhoods.
func (s *stage) rank(sp *space.Space, scored []Scored, asked int) (*result.Ranking, error) {
	settings, err := result.SettingsOf(s.Settings)
	if err != nil {
		return nil, err
	}
	own := slices.Clone(scored)
	slices.SortStableFunc(own, func(a, b Scored) int { return cmp.Compare(b.Own.Score, a.Own.Score) })
	slices.SortStableFunc(scored, func(a, b Scored) int { return cmp.Compare(b.Aggregate, a.Aggregate) })
	out := &result.Ranking{Space: sp.Reference(), Aggregate: settings, Radius: s.Radius, NeighborsScored: asked}
	classes := make([]string, len(scored))
	for i, sc := range scored {
		classes[i] = sp.Class(sc.Center)
	}
	members := sp.CountMembers(classes...)
	for i, sc := range scored {
		std, least, largest := sc.Spread()
		f := result.Finalist{
			Architecture: sp.Format(sc.Center), Class: classes[i], OwnScore: sc.Own.Score, OwnAccuracy: sc.Own.Accuracy,
			Aggregate: sc.Aggregate, Std: std, Min: least, Max: largest, RankNeighborhood: i + 1,
			RankOwn: 1 + slices.IndexFunc(own, func(o Scored) bool { return o.Center.Equal(sc.Center) }),
			Table:   table(sp, sc),
		}
		if members != nil {
			f.ClassMembers = members[i]
		}
		for j, m := range sc.Members {
			if m.Equal(sc.Center) {
				continue
			}
			f.Neighbors++
			if f.Neighbors == 1 || sc.Scores[j] < f.Worst.Score {
				f.Worst = result.Neighbor{Architecture: sp.Format(m), Score: sc.Scores[j]}
			}
		}
		out.Finalists = append(out.Finalists, f)
	}
	return out, nil
}

// table gives the score of every architecture that differs from the center on one edge, by edge and operation; on
// the center's own operations it is the center's score. What was not scored is nil.
func table(sp *space.Space, sc Scored) [][]*float64 {
	out := make([][]*float64, len(sp.Edges))
	for e := range out {
		out[e] = make([]*float64, len(sp.Operations))
		out[e][sc.Center[e]] = &sc.Own.Score
	}
	for i, m := range sc.Members {
		if space.Distance(m, sc.Center) != 1 {
			continue
		}
		for e := range m {
			if m[e] != sc.Center[e] {
				out[e][m[e]] = &sc.Scores[i]
			}
		}
	}
	return out
}

// write writes the outputs and metrics.
func (s *stage) write(job *pipeline.Job, sp *space.Space, found *result.Architecture, ranking *result.Ranking) error {
	winner := &ranking.Finalists[ranking.Winner]
	a, err := sp.Parse(winner.Architecture)
	if err != nil {
		return err
	}
	chosen := result.NewArchitecture(sp, a)
	chosen.Algorithm, chosen.Seed = "neighborhood", job.Seed
	chosen.OwnScore, chosen.NeighborhoodScore = &winner.OwnScore, &winner.Aggregate
	if chosen.Settings, err = result.SettingsOf(s.StageSettings); err != nil {
		return err
	}
	for i := range ranking.Finalists {
		f := &ranking.Finalists[i]
		chosen.Candidates = append(chosen.Candidates, result.Candidate{Architecture: f.Architecture, Score: f.OwnScore, NeighborhoodScore: &f.Aggregate})
	}
	if err := result.WriteRanking(job.Output("ranking"), ranking); err != nil {
		return err
	}
	if err := result.WriteArchitecture(job.Output("architecture"), chosen); err != nil {
		return err
	}
	job.Metric("own_score", winner.OwnScore)
	job.Metric("neighborhood_score", winner.Aggregate)
	job.Metric("neighborhood_std", winner.Std)
	job.Metric("evaluations", float64(ranking.NeighborsScored)) // that the search had not made
	job.Metric("valid_top1", winner.OwnAccuracy)                // with the shared weights
	for i, f := range ranking.Finalists {
		job.Info("%d. %s  own %.4f (rank %d)  neighborhood %.4f ± %.4f", i+1, f.Architecture, f.OwnScore, f.RankOwn, f.Aggregate, f.Std)
	}
	job.Summary(fmt.Sprintf("%s\n%s\nown score %.4f, neighborhood %.4f ± %.4f over %d neighbors, worst %.4f",
		winner.Architecture, draw.Text(sp, a), winner.OwnScore, winner.Aggregate, winner.Std, winner.Neighbors, winner.Min))
	if winner.Architecture != found.Architecture {
		job.Info("the neighborhood prefers another architecture than the search's choice %s", found.Architecture)
	}
	return nil
}
