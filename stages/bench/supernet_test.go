package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

func tiny() bench.SupernetOptions {
	return bench.SupernetOptions{Space: "nasbench201", Channels: 2, Cells: 1, Batch: 4, ImageSize: 8, Runs: 3}
}

func TestReportIsFilled(t *testing.T) {
	rt := stagetest.Runtime(t)
	r, err := bench.Supernet(t.Context(), rt, tiny())
	if err != nil {
		t.Fatal(err)
	}
	sn, err := supernet.New(space.NASBench201(), supernet.Macro{Channels: 2, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	for what, timing := range map[string]bench.Timing{"a training step": r.Train, "a forward pass": r.Forward} {
		if !(timing.Best > 0) || timing.Median < timing.Best {
			t.Errorf("%s took %v ms at best and %v in the middle", what, timing.Best, timing.Median)
		}
	}
	if (goruntime.GOOS == "linux" || goruntime.GOOS == "darwin") && r.PeakRSS < 10 {
		t.Errorf("this process has taken %d MiB at most", r.PeakRSS)
	}
	want := bench.SupernetReport{
		Space: "nasbench201", Channels: 2, Cells: 1, Batch: 4, ImageSize: 8, Library: rt.LibraryVersion(), Provider: "cpu", Threads: rt.Threads(),
		Parameters: sn.Index.Total(), Train: r.Train, Forward: r.Forward, PeakRSS: r.PeakRSS,
	}
	if diff := cmp.Diff(want, *r); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
	if r.Library == "" || r.Threads < 1 {
		t.Errorf("library %q with %d threads", r.Library, r.Threads)
	}

	o := tiny()
	o.Recompute = true
	if again, err := bench.Supernet(t.Context(), rt, o); err != nil || !again.Recompute {
		t.Errorf("with recomputation: %+v, error %v", again, err)
	}

	// The names that other programs read.
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train", "forward"} {
		timing, _ := got[name].(map[string]any)
		if keys := slices.Sorted(maps.Keys(timing)); !slices.Equal(keys, []string{"best_ms", "median_ms"}) {
			t.Errorf("%s holds %v", name, keys)
		}
	}
	for _, name := range []string{"parameters", "peak_rss_mib"} {
		if got[name] == nil {
			t.Errorf("there is no %s in %s", name, text)
		}
	}
}

func TestSupernetOfDARTS(t *testing.T) {
	o := tiny()
	o.Space, o.Runs = "darts", 1
	r, err := bench.Supernet(t.Context(), stagetest.Runtime(t), o)
	if err != nil {
		t.Fatal(err)
	}
	sn, err := supernet.NewDARTS(supernet.DARTSMacro{Channels: 2, Layers: 1, Classes: 10, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Space != "darts" || r.Cells != 1 || r.Parameters != sn.Index.Total() || !(r.Train.Best > 0) || !(r.Forward.Best > 0) {
		t.Errorf("%+v", r)
	}
}

func TestMistakesAreErrors(t *testing.T) {
	rt := stagetest.Runtime(t)
	for _, c := range []struct {
		name   string
		change func(*bench.SupernetOptions)
		want   string
	}{
		{"an unknown space", func(o *bench.SupernetOptions) { o.Space = "nasbench" }, `unknown search space "nasbench"`},
		{"no layers", func(o *bench.SupernetOptions) { o.Space, o.Cells = "darts", 0 }, "0 layers"},
		{"no runs", func(o *bench.SupernetOptions) { o.Runs = 0 }, "0 runs of batches of 4"},
		{"single images", func(o *bench.SupernetOptions) { o.Batch = 1 }, "two images a batch"},
		{"no channels", func(o *bench.SupernetOptions) { o.Channels = 0 }, "0 channels"},
		{"images that cannot be halved", func(o *bench.SupernetOptions) { o.ImageSize = 18 }, "divisible by 4"},
	} {
		o := tiny()
		c.change(&o)
		if _, err := bench.Supernet(t.Context(), rt, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

func TestBenchEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := bench.Supernet(ctx, stagetest.Runtime(t), tiny()); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "close a state") {
		t.Error(err)
	}
}

func TestClosedRuntimeIsAnError(t *testing.T) {
	stagetest.Runtime(t) // skips where there is none
	closed, err := runtime.Open(t.Context(), runtimetest.Settings())
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bench.Supernet(t.Context(), closed, tiny()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

func TestFormulationsAreSwitchedOff(t *testing.T) {
	o := tiny()
	o.Without = supernet.Formulations()
	r, err := bench.Supernet(t.Context(), stagetest.Runtime(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(supernet.Formulations(), r.Without); diff != "" {
		t.Errorf("the report does not say what was switched off (-want +got):\n%s", diff)
	}
	o.Without = []string{"magic"}
	if _, err := bench.Supernet(t.Context(), stagetest.Runtime(t), o); err == nil || !strings.Contains(err.Error(), `"magic"`) {
		t.Errorf("a formulation that does not exist: %v", err)
	}
}
