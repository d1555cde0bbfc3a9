package cost_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

func settings(names ...string) cost.Settings {
	st := cost.DefaultSettings()
	st.Metrics, st.LatencyRuns = names, 2
	return st
}

func TestConformance(t *testing.T) {
	s := space.NASBench201()
	bad := space.Architecture{0, 1, 2, 3, 4, 0}
	scoretest.Run(t, scoretest.Suite{
		Space: s, Architectures: 3, Failing: []space.Architecture{bad}, Except: []string{cost.Latency},
		New: func(t *testing.T) score.Evaluator {
			e, err := cost.New(&scoretest.Synthetic{Space: s, Noise: 0.1, Fails: bad.Equal}, stagetest.Runtime(t), s, stagetest.Macro(), settings(cost.Names()...))
			if err != nil {
				t.Fatal(err)
			}
			return e
		},
	})
}

// NAS-Bench-201 lists the costs of its networks: the one of all 3x3 convolutions has 1.53 million parameters and 220.1 million
// multiply-adds on CIFAR-10 (Dong and Yang, ICLR 2020, figure 5; NATS-Bench counts as here).
func TestCostsOfTheBenchmark(t *testing.T) {
	s := space.NASBench201()
	e, err := cost.New(&scoretest.Synthetic{Space: s}, nil, s, supernet.Macro{Channels: 16, Cells: 5, Classes: 10, Image: [3]int{3, 32, 32}}, settings(cost.Parameters, cost.MultiplyAdds))
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Evaluate(t.Context(), []space.Architecture{{3, 3, 3, 3, 3, 3}, {1, 1, 1, 1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if p := r[0].Metrics[cost.Parameters]; p != 1_531_546 {
		t.Errorf("%v parameters", p)
	}
	if m := r[0].Metrics[cost.MultiplyAdds] / 1e6; m < 215 || m > 225 {
		t.Errorf("%v million multiply-adds", m)
	}
	if r[1].Metrics[cost.Parameters] >= r[0].Metrics[cost.Parameters] || r[1].Metrics["smooth"] == 0 || len(r[1].Metrics) != 4 {
		t.Errorf("%+v", r[1])
	}
}

func TestSettingsAreChecked(t *testing.T) {
	st := settings("latency")
	st.LatencyRuns, st.LatencyThreads = 0, -1
	err := st.Validate("costs")
	for _, want := range []string{"costs.metrics[0]", "costs.latency_runs", "costs.latency_threads"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
