package report_test

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/report"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// example returns what a run on drawn shapes could have found. All numbers follow from a fixed seed.
func example(t testing.TB) report.Content {
	t.Helper()
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(1, 2))
	settings := dataset.DefaultSettings()
	settings.TrainImages, settings.TestImages = 40, 60
	data, err := dataset.Make(context.Background(), settings, 7)
	if err != nil {
		t.Fatal(err)
	}
	ranking := exampleRanking(s, rng)
	winner := ranking.Finalists[ranking.Winner]
	arch, err := s.Parse(winner.Architecture)
	if err != nil {
		t.Fatal(err)
	}
	found := result.NewArchitecture(s, arch)
	found.Algorithm, found.Seed = "na_darts", 1
	found.OwnScore, found.NeighborhoodScore = &winner.OwnScore, &winner.Aggregate
	for _, f := range ranking.Finalists {
		found.Candidates = append(found.Candidates, result.Candidate{Architecture: f.Architecture, Score: f.OwnScore, NeighborhoodScore: &f.Aggregate})
	}
	alpha := make([][]float64, len(s.Edges))
	for e := range alpha {
		alpha[e] = make([]float64, len(s.Operations))
		for k := range alpha[e] {
			alpha[e][k] = rng.NormFloat64() * 0.5
		}
		alpha[e][arch[e]] = 2.2
	}
	found.Alpha, found.Probabilities = alpha, space.Softmax(alpha)
	found.Settings = result.Settings{
		"algorithm": "na_darts", "epochs": 30, "batch": 64, "weights": map[string]any{"learning_rate": 0.025, "schedule": "cosine", "weight_decay": 0.0005},
		"alpha": map[string]any{"learning_rate": 0.0003, "betas": []any{0.5, 0.999}}, "neighborhood": map[string]any{"radius": 1, "samples": 4, "aggregate": "mean"},
	}
	return report.Content{
		Images: 6, Architecture: found, Dataset: data, Ranking: ranking, Search: exampleSearch(s, arch, rng), Train: exampleTraining(rng),
		Metrics: exampleMetrics(data.Classes, rng),
		Checks: &result.Checks{Library: "ONNX Runtime 1.27.0", Opset: 17, Checks: []result.Check{
			{Name: "Same outputs as the training graph", Passed: true, Detail: "largest difference 2.4e-6 over 256 images, at most 1e-4 is allowed"},
			{Name: "Independent decoder reads the same graph", Passed: true, Detail: "87 nodes, 54 initializers, every attribute"},
			{Name: "Dynamic batch", Passed: true, Detail: "same outputs with 1, 3 and 64 images at once"},
		}},
		Model: &report.Model{
			Bytes: 312_455, Opset: 17, Producer: "plateau 0.1.0", Inputs: []string{"images: float [batch, 3, 32, 32]"}, Outputs: []string{"logits: float [batch, 10]"},
			Operators: map[string]int{"Conv": 21, "Relu": 20, "Add": 14, "AveragePool": 4, "Gemm": 1, "GlobalAveragePool": 1}, Metadata: map[string]string{"architecture": winner.Architecture, "dataset": "shapes"},
		},
		Sources: []report.Source{
			{Port: "architecture", Stage: "neighborhood", Kind: "neighborhood", Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
			{Port: "dataset", Stage: "data", Kind: "dataset", Digest: "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"},
		},
	}
}

func exampleRanking(s *space.Space, rng *rand.Rand) *result.Ranking {
	// What each operation adds to a score, edge by edge: a landscape that is smooth but for some noise.
	worth := make([][]float64, len(s.Edges))
	for e := range worth {
		worth[e] = []float64{-0.22 - 0.1*rng.Float64(), -0.03, 0.02, 0.06, -0.05}
		worth[e][0] *= []float64{0.3, 0.4, 0.2, 2.6, 0.7, 1}[e]
	}
	value := func(a space.Architecture) float64 {
		v := -0.78
		for e, op := range a {
			v += worth[e][op]
		}
		return v + 0.03*math.Sin(float64(a[0]*31+a[1]*17+a[2]*7+a[3]*5+a[4]*3+a[5]))
	}
	finalists := []space.Architecture{{3, 3, 2, 3, 3, 1}, {3, 2, 1, 3, 3, 3}, {3, 3, 3, 1, 0, 3}, {2, 3, 3, 3, 4, 3}, {3, 1, 0, 3, 1, 2}}
	r := &result.Ranking{Space: s.Name, Radius: 1, NeighborsScored: 118, Aggregate: result.Settings{"aggregate": "mean", "radius": 1, "samples": 0, "include_center": true}}
	for _, a := range finalists {
		f := result.Finalist{Architecture: s.Format(a), OwnScore: value(a), OwnAccuracy: math.Exp(value(a)), Min: math.Inf(1), Max: math.Inf(-1)}
		f.Table = make([][]*float64, len(s.Edges))
		sum, squares := 0.0, 0.0
		for e := range a {
			for op := range s.Operations {
				b := a.Clone()
				b[e] = op
				v := value(b)
				f.Table[e] = append(f.Table[e], &v)
				if op == a[e] {
					continue
				}
				f.Neighbors++
				sum, squares = sum+v, squares+v*v
				if v < f.Min {
					f.Min, f.Worst = v, result.Neighbor{Architecture: s.Format(b), Score: v}
				}
				f.Max = max(f.Max, v)
			}
		}
		n := float64(f.Neighbors)
		f.Aggregate, f.Std = sum/n, math.Sqrt(squares/n-sum*sum/n/n)
		r.Finalists = append(r.Finalists, f)
	}
	slices.SortFunc(r.Finalists, func(a, b result.Finalist) int { return cmp.Compare(b.OwnScore, a.OwnScore) })
	for i := range r.Finalists {
		r.Finalists[i].RankOwn = i + 1
	}
	slices.SortFunc(r.Finalists, func(a, b result.Finalist) int { return cmp.Compare(b.Aggregate, a.Aggregate) })
	for i := range r.Finalists {
		r.Finalists[i].RankNeighborhood = i + 1
	}
	r.Finalists[3].Table[2][4] = nil
	return r
}

func exampleSearch(s *space.Space, final space.Architecture, rng *rand.Rand) []result.SearchEpoch {
	var out []result.SearchEpoch
	current := s.Random(rng)
	for i := 1; i <= 36; i++ {
		x := float64(i)
		e := result.SearchEpoch{
			Epoch: i, Phase: "warm-up", TrainLoss: 0.35 + 2*math.Exp(-x/9) + 0.03*rng.NormFloat64(), TrainAccuracy: 0.9 - 0.8*math.Exp(-x/8) + 0.01*rng.NormFloat64(),
			ValidLoss: math.NaN(), ValidAccuracy: math.NaN(), AlphaEntropy: math.NaN(), Eigenvalue: math.NaN(),
		}
		if i > 6 {
			e.Phase = "search"
			e.ValidLoss, e.ValidAccuracy = 0.45+2*math.Exp(-x/10)+0.05*rng.NormFloat64(), 0.86-0.8*math.Exp(-x/8)+0.02*rng.NormFloat64()
			e.AlphaEntropy = 1.609 - 0.025*(x-6) + 0.004*rng.NormFloat64()
			edge := rng.IntN(len(final))
			if rng.Float64() < 0.6 {
				current[edge] = final[edge]
			}
			if i > 30 {
				current = final.Clone()
			}
			e.Architecture = s.Format(current)
		}
		out = append(out, e)
	}
	return out
}

func exampleTraining(rng *rand.Rand) []result.TrainEpoch {
	var out []result.TrainEpoch
	for i := 1; i <= 40; i++ {
		x := float64(i)
		out = append(out, result.TrainEpoch{
			Epoch: i, LR: 0.05 * (1 + math.Cos(math.Pi*x/40)), TrainLoss: 0.1 + 2.2*math.Exp(-x/7) + 0.02*rng.NormFloat64(), TrainAccuracy: 0.97 - 0.85*math.Exp(-x/7) + 0.006*rng.NormFloat64(),
		})
	}
	return out
}

func exampleMetrics(classes []string, rng *rand.Rand) *result.Metrics {
	m := &result.Metrics{
		Model: "quickstart", Dataset: "shapes", Split: "test", Top5: 0.998, Loss: 0.211, Parameters: 73_306, MultiplyAdds: 10_752_640, SizeBytes: 312_455,
		Latency: &result.Latency{Mean: 0.62, P50: 0.6, P95: 0.71}, Provider: "cpu", Threads: 2, Library: "1.27.0",
	}
	right := 0
	for i, class := range classes {
		row := make([]int, len(classes))
		row[i] = 100
		for range rng.IntN(16) {
			k := min(len(classes)-1, i^rng.IntN(3))
			row[i]--
			row[k]++
		}
		right += row[i]
		m.Count += 100
		m.PerClass = append(m.PerClass, result.ClassTop1{Class: class, Count: 100, Top1: float64(row[i]) / 100})
		m.Confusion = append(m.Confusion, row)
	}
	m.Top1 = float64(right) / float64(m.Count)
	return m
}
