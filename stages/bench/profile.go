package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
)

// OperatorTime is what the nodes of one operator take of a run.
type OperatorTime struct {
	Operator string `json:"operator"` // as ONNX Runtime runs it, after its own rewriting
	Nodes    int    `json:"nodes"`
	// Milliseconds is the sum over the nodes of the median over the runs.
	Milliseconds float64 `json:"ms"`
	Share        float64 `json:"share"` // of all operators, 0 to 1
}

// profiled is timed with ONNX Runtime's profile of the operators.
func profiled(ctx context.Context, rt *runtime.Runtime, sub *subject, build func() (*onnx.ModelProto, error), runs int, rng *rand.Rand) (_ []OperatorTime, err error) {
	dir, err := os.MkdirTemp("", "plateau-profile")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := load(rt, sub, build, runtime.SessionOptions{Profile: filepath.Join(dir, "profile")}, rng)
	if err != nil {
		return nil, err
	}
	for range runs + untimed {
		if err := l.step.Run(ctx); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	if err := l.close(); err != nil { // which writes the profile
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "profile*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("ONNX Runtime has written %d profiles instead of one", len(files))
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	return ParseProfile(text)
}

// ParseProfile adds up a profile as ONNX Runtime writes it by operator, the one that takes longest first.
func ParseProfile(text []byte) ([]OperatorTime, error) {
	var events []struct {
		Category string  `json:"cat"`
		Name     string  `json:"name"`
		Duration float64 `json:"dur"` // microseconds
		Args     struct {
			Operator string `json:"op_name"`
		} `json:"args"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, fmt.Errorf("reading a profile: %w", err)
	}
	runs := map[[2]string][]float64{} // of an operator's node
	for _, e := range events {
		if name, ok := strings.CutSuffix(e.Name, "_kernel_time"); ok && e.Category == "Node" {
			node := [2]string{e.Args.Operator, name}
			runs[node] = append(runs[node], e.Duration/1000)
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("reading a profile: it tells of no operators")
	}
	byOperator := map[string]*OperatorTime{}
	total := 0.0
	for node, times := range runs {
		t := byOperator[node[0]]
		if t == nil {
			t = &OperatorTime{Operator: node[0]}
			byOperator[node[0]] = t
		}
		t.Nodes++
		t.Milliseconds += median(times)
		total += median(times)
	}
	var out []OperatorTime
	for _, t := range byOperator {
		t.Share = t.Milliseconds / max(total, 1e-9)
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b OperatorTime) int {
		return cmp.Or(cmp.Compare(b.Milliseconds, a.Milliseconds), strings.Compare(a.Operator, b.Operator))
	})
	return out, nil
}
