package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Measured is what a program that times a supernet prints, ours and its peers alike, as one JSON object.
type Measured struct {
	Train      Timing `json:"train"`
	Forward    Timing `json:"forward"`
	PeakRSS    int64  `json:"peak_rss_mib"`
	Parameters int    `json:"parameters"`
}

// ParseMeasured reads the JSON object at the end of a program's output; lines before it, such as warnings, are passed over.
func ParseMeasured(output []byte) (Measured, error) {
	var m Measured
	output = bytes.TrimSpace(output)
	if at := bytes.LastIndex(output, []byte("\n{")); at >= 0 {
		output = output[at+1:]
	}
	if err := json.Unmarshal(output, &m); err != nil {
		return m, fmt.Errorf("reading the figures of a supernet: %w; the output ends with %q", err, tail(output))
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"train.median_ms", m.Train.Median}, {"forward.median_ms", m.Forward.Median}, {"peak_rss_mib", float64(m.PeakRSS)}, {"parameters", float64(m.Parameters)}} {
		if !(f.value > 0) {
			return m, fmt.Errorf("reading the figures of a supernet: %s is %v or missing", f.name, f.value)
		}
	}
	return m, nil
}

// tail returns the last bytes of a program's output.
func tail(output []byte) string {
	output = bytes.TrimSpace(output)
	return string(output[max(0, len(output)-400):])
}

// Measure times the supernet that the options say.
type Measure func(ctx context.Context, o SupernetOptions) (Measured, error)

// Program returns a measure that runs a program with the options as flags; the program and what stands before the flags
// is the command. Each run is a process of its own, so that peak memory means something.
func Program(threads int, command ...string) Measure {
	return func(ctx context.Context, o SupernetOptions) (Measured, error) {
		args := append([]string{}, command[1:]...)
		args = append(args, "--space", o.Space, "--channels", strconv.Itoa(o.Channels), "--cells", strconv.Itoa(o.Cells), "--batch", strconv.Itoa(o.Batch),
			"--image-size", strconv.Itoa(o.ImageSize), "--runs", strconv.Itoa(o.Runs), "--threads", strconv.Itoa(threads))
		cmd := exec.CommandContext(ctx, command[0], args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		output, err := cmd.Output()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return Measured{}, fmt.Errorf("running %s: %w: %s", strings.Join(append([]string{command[0]}, args...), " "), err, tail(stderr.Bytes()))
		}
		m, err := ParseMeasured(output)
		if err != nil {
			return m, fmt.Errorf("running %s: %w", command[0], err)
		}
		return m, nil
	}
}

// Comparison is one supernet, ours beside a peer's. The figures are medians over the rounds of each round's median,
// peak memory the median of the rounds'.
type Comparison struct {
	Space     string  `json:"space"`
	Channels  int     `json:"channels"`
	Cells     int     `json:"cells"`
	Batch     int     `json:"batch"`
	ImageSize int     `json:"image_size"`
	Rounds    int     `json:"rounds"`
	Plateau   Medians `json:"plateau"`
	Peer      Medians `json:"peer"`
	// The peer's figure divided by ours: above 1, ours is faster or smaller.
	TrainRatio   float64 `json:"train_ratio"`
	ForwardRatio float64 `json:"forward_ratio"`
	MemoryRatio  float64 `json:"memory_ratio"`
}

// Medians are those of several rounds.
type Medians struct {
	Train   float64 `json:"train_ms"`
	Forward float64 `json:"forward_ms"`
	Memory  float64 `json:"peak_rss_mib"`
}

// Cases are the supernets that are compared: of NAS-Bench-201 at two sizes and of DARTS, timed in runs of runs.
func Cases(runs int) []SupernetOptions {
	return []SupernetOptions{
		{Space: "nasbench201", Channels: 16, Cells: 1, Batch: 64, ImageSize: 32, Runs: runs},
		{Space: "nasbench201", Channels: 8, Cells: 1, Batch: 64, ImageSize: 16, Runs: runs},
		{Space: darts, Channels: 8, Cells: 4, Batch: 32, ImageSize: 32, Runs: runs},
	}
}

// Compare measures one supernet with both in turn, as many times as there are rounds: what else the machine does
// then falls on both. Supernets with other numbers of parameters are not the same, which is an error.
func Compare(ctx context.Context, o SupernetOptions, rounds int, ours, peer Measure) (*Comparison, error) {
	if rounds < 1 {
		return nil, fmt.Errorf("%d rounds; at least one is needed", rounds)
	}
	var all [2][3][]float64
	for range rounds {
		var parameters [2]int
		for i, measure := range []Measure{ours, peer} {
			m, err := measure(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("comparing supernets of %s with %d channels: %w", o.Space, o.Channels, err)
			}
			for k, v := range []float64{m.Train.Median, m.Forward.Median, float64(m.PeakRSS)} {
				all[i][k] = append(all[i][k], v)
			}
			parameters[i] = m.Parameters
		}
		if parameters[0] != parameters[1] {
			return nil, fmt.Errorf("comparing supernets of %s with %d channels: ours has %d parameters and the peer's %d, so they are not the same network", o.Space, o.Channels, parameters[0], parameters[1])
		}
	}
	medians := func(v [3][]float64) Medians { return Medians{median(v[0]), median(v[1]), median(v[2])} }
	c := &Comparison{Space: o.Space, Channels: o.Channels, Cells: o.Cells, Batch: o.Batch, ImageSize: o.ImageSize, Rounds: rounds, Plateau: medians(all[0]), Peer: medians(all[1])}
	c.TrainRatio, c.ForwardRatio, c.MemoryRatio = c.Peer.Train/c.Plateau.Train, c.Peer.Forward/c.Plateau.Forward, c.Peer.Memory/c.Plateau.Memory
	return c, nil
}

// ErrNoPeer says that the peer cannot run here; the error around it tells what is missing.
var ErrNoPeer = errors.New("the peer cannot run here")

// PyTorch returns the version of the PyTorch that a Python interpreter has, or an error that is ErrNoPeer.
func PyTorch(ctx context.Context, python string) (string, error) {
	path, err := exec.LookPath(python)
	if err != nil {
		return "", fmt.Errorf("%w: there is no Python interpreter %q; install one, or name another with --python", ErrNoPeer, python)
	}
	output, err := exec.CommandContext(ctx, path, "-c", "import torch; print(torch.__version__)").CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("%w: %s has no PyTorch (%s); install it, or name another interpreter with --python", ErrNoPeer, path, lastLine(output))
	}
	return lastLine(output), nil
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}
