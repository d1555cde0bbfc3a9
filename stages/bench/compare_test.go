package bench_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/bench"
)

const figures = `{"space": "nasbench201", "parameters": 12, "train": {"best_ms": 1.5, "median_ms": 2.5}, "forward": {"best_ms": 0.5, "median_ms": 0.75}, "peak_rss_mib": 100}`

func TestParseMeasured(t *testing.T) {
	want := bench.Measured{Train: bench.Timing{Best: 1.5, Median: 2.5}, Forward: bench.Timing{Best: 0.5, Median: 0.75}, PeakRSS: 100, Parameters: 12}
	for name, output := range map[string]string{
		"on one line":    figures + "\n",
		"indented":       strings.ReplaceAll(figures, ", ", ",\n  "),
		"after warnings": "UserWarning: slow\n{not json}\nstill slow\n" + figures,
	} {
		got, err := bench.ParseMeasured([]byte(output))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, c := range []struct{ name, output, want string }{
		{"nothing", "", "reading the figures"},
		{"a message", "Traceback: no module", `ends with "Traceback: no module"`},
		{"no training time", strings.Replace(figures, "train", "trian", 1), "train.median_ms is 0 or missing"},
		{"no memory", strings.Replace(figures, "100", "0", 1), "peak_rss_mib"},
		{"no parameters", strings.Replace(figures, "12", "-1", 1), "parameters is -1"},
	} {
		if _, err := bench.ParseMeasured([]byte(c.output)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

func FuzzParseMeasured(f *testing.F) {
	f.Add([]byte(figures))
	f.Add([]byte("warning\n{}"))
	f.Fuzz(func(t *testing.T, output []byte) {
		if m, err := bench.ParseMeasured(output); err == nil && !(m.Train.Median > 0 && m.Forward.Median > 0 && m.PeakRSS > 0 && m.Parameters > 0) {
			t.Errorf("%q gives %+v", output, m)
		}
	})
}

// series answers with the training times in order.
func series(order *[]string, name string, parameters int, times ...float64) bench.Measure {
	return func(context.Context, bench.SupernetOptions) (bench.Measured, error) {
		*order = append(*order, name)
		m := bench.Measured{Train: bench.Timing{Median: times[0]}, Forward: bench.Timing{Median: times[0] / 10}, PeakRSS: int64(times[0]), Parameters: parameters}
		times = times[1:]
		return m, nil
	}
}

func TestCompareTakesTurnsAndMedians(t *testing.T) {
	var order []string
	o := bench.Cases(5)[1]
	got, err := bench.Compare(t.Context(), o, 3, series(&order, "ours", 7, 10, 1000, 20), series(&order, "peer", 7, 60, 50, 2))
	if err != nil {
		t.Fatal(err)
	}
	want := &bench.Comparison{
		Space: "nasbench201", Channels: 8, Cells: 1, Batch: 64, ImageSize: 16, Rounds: 3,
		Plateau: bench.Medians{Train: 20, Forward: 2, Memory: 20}, Peer: bench.Medians{Train: 50, Forward: 5, Memory: 50},
		TrainRatio: 2.5, ForwardRatio: 2.5, MemoryRatio: 2.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the comparison differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ours", "peer", "ours", "peer", "ours", "peer"}, order); diff != "" {
		t.Errorf("the order differs (-want +got):\n%s", diff)
	}
}

func TestCompareRefusesWhatIsNotComparable(t *testing.T) {
	var order []string
	_, err := bench.Compare(t.Context(), bench.Cases(1)[0], 1, series(&order, "ours", 7, 1), series(&order, "peer", 8, 1))
	if err == nil || !strings.Contains(err.Error(), "7 parameters and the peer's 8") {
		t.Error(err)
	}
	if _, err := bench.Compare(t.Context(), bench.Cases(1)[0], 0, nil, nil); err == nil || !strings.Contains(err.Error(), "0 rounds") {
		t.Error(err)
	}
	failure := errors.New("no such thing")
	fails := func(context.Context, bench.SupernetOptions) (bench.Measured, error) { return bench.Measured{}, failure }
	if _, err := bench.Compare(t.Context(), bench.Cases(1)[0], 1, fails, nil); !errors.Is(err, failure) {
		t.Error(err)
	}
}

// script writes a shell script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for a program is a shell script")
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramIsGivenTheOptions(t *testing.T) {
	arguments := filepath.Join(t.TempDir(), "arguments")
	program := script(t, `echo "$@" > `+arguments+`; echo a warning; echo '`+figures+`'`)
	m, err := bench.Program(3, program, "bench", "supernet")(t.Context(), bench.Cases(4)[2])
	if err != nil || m.Parameters != 12 {
		t.Fatalf("%+v, %v", m, err)
	}
	got, err := os.ReadFile(arguments)
	if err != nil {
		t.Fatal(err)
	}
	want := "bench supernet --space darts --channels 8 --cells 4 --batch 32 --image-size 32 --runs 4 --threads 3\n"
	if string(got) != want {
		t.Errorf("the program was given %s, want %s", got, want)
	}
	for text, want := range map[string]string{"echo out of memory >&2; exit 1": "out of memory", "echo hello": "hello"} {
		if _, err := bench.Program(1, script(t, text))(t.Context(), bench.Cases(1)[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", text, err, want)
		}
	}
}

func TestPyTorchIsLookedFor(t *testing.T) {
	if _, err := bench.PyTorch(t.Context(), "no-such-python"); !errors.Is(err, bench.ErrNoPeer) || !strings.Contains(err.Error(), `"no-such-python"`) {
		t.Error(err)
	}
	if _, err := bench.PyTorch(t.Context(), script(t, "echo ModuleNotFoundError: torch >&2; exit 1")); !errors.Is(err, bench.ErrNoPeer) || !strings.Contains(err.Error(), "ModuleNotFoundError: torch") {
		t.Error(err)
	}
	if v, err := bench.PyTorch(t.Context(), script(t, "echo a warning; echo 1.13.0")); err != nil || v != "1.13.0" {
		t.Errorf("version %q, %v", v, err)
	}
}
