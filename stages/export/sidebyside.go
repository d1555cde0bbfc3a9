package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// form is a model in one precision while it is measured.
type form struct {
	precision Precision
	path      string
	test      *result.Metrics
	predicted []int // class by test image
}

// sideBySide measures the files: float32 first, then the others, on the same images and in turns.
func (a about) sideBySide(ctx context.Context, rt *runtime.Runtime, forms []*form, progress Progress) (*result.Precisions, error) {
	s := a.settings
	out := &result.Precisions{Images: a.data.Test.Count, Batch: min(s.Batch, a.data.Test.Count), Provider: rt.Provider(), Threads: rt.Threads(), Library: "ONNX Runtime " + rt.LibraryVersion()}
	float := forms[0]
	for _, f := range forms {
		info, err := os.Stat(f.path)
		if err != nil {
			return nil, err
		}
		i := evaluate.Interval(f.test)
		m := result.Precision{
			Name: string(f.precision), File: filepath.Base(f.path), SizeBytes: info.Size(),
			Top1: f.test.Top1, Interval: [2]float64{i.Low, i.High}, Loss: f.test.Loss, P: 1,
		}
		for i, class := range f.predicted {
			right, before := int64(class) == a.data.Test.Labels[i], int64(float.predicted[i]) == a.data.Test.Labels[i]
			switch {
			case right && !before:
				m.Gained++
			case before && !right:
				m.Lost++
			}
			if class != float.predicted[i] {
				m.Changed++
			}
		}
		m.P = stat.McNemar(m.Lost, m.Gained)
		if f.precision == Int8 {
			out.Calibration = min(s.CalibrationImages, a.data.Train.Count)
			if m.Products, m.InInt8, err = a.fused(rt, f.path); err != nil {
				return nil, err
			}
		}
		out.Models = append(out.Models, m)
	}
	return out, a.timeInTurns(ctx, rt, forms, out, progress)
}

// fused counts the products of an int8 file, and those that the runtime runs in whole numbers, where that can be seen from the graph that it
// has rewritten: on the processor.
func (a about) fused(rt *runtime.Runtime, path string) (products int, whole *int, err error) {
	m, err := onnx.Load(path)
	if err != nil {
		return 0, nil, err
	}
	products, _ = inInt8(m, m)
	if rt.Provider() != runtime.ProviderCPU {
		return products, nil, nil
	}
	scratch, err := os.MkdirTemp("", "plateau-optimized-")
	if err != nil {
		return 0, nil, fmt.Errorf("making a folder for the optimized graph: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	optimized := filepath.Join(scratch, "optimized.onnx")
	session, err := rt.NewSessionFile(path, runtime.SessionOptions{Optimized: optimized})
	if err != nil {
		return 0, nil, err
	}
	if err := session.Close(); err != nil {
		return 0, nil, err
	}
	rewritten, err := onnx.Load(optimized)
	if err != nil {
		return 0, nil, err
	}
	_, n := inInt8(m, rewritten)
	return products, &n, nil
}

// phaseTime names the timing in progress reports.
const phaseTime = "time"

const (
	// leastRounds is the number of times that each model is timed, in turns, however long that takes.
	leastRounds = 3
	// mostRounds is enough for a median.
	mostRounds = 15
	// timingTime is after how long no further round begins.
	timingTime = 6 * time.Second
	// inARow is how many runs with one image a round has; the first one, which finds the caches filled by another model, does not count.
	inARow = 9
)

// timeInTurns times the files one after the other, again and again, so that what else the machine does meets all alike.
func (a about) timeInTurns(ctx context.Context, rt *runtime.Runtime, forms []*form, out *result.Precisions, progress Progress) (err error) {
	sessions := make([]*runtime.Session, len(forms))
	defer func() {
		for _, s := range sessions {
			if s != nil {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	for i, f := range forms {
		if sessions[i], err = rt.NewSessionFile(f.path, runtime.SessionOptions{}); err != nil {
			return err
		}
	}
	one := a.settings.feed(a.data.Test, a.data, 0, 1)
	many := a.settings.feed(a.data.Test, a.data, 0, out.Batch)
	single, batch := make([][]float64, len(forms)), make([][]float64, len(forms))
	run := func(s *runtime.Session, in map[string]runtime.Tensor) (float64, error) {
		start := time.Now()
		_, err := s.Run(ctx, in)
		return float64(time.Since(start)) / float64(time.Millisecond), err
	}
	for began, round := time.Now(), 0; round < leastRounds || round < mostRounds && time.Since(began) < timingTime; round++ {
		for i, s := range sessions {
			for k := range inARow {
				ms, err := run(s, one)
				if err != nil {
					return err
				}
				if k > 0 {
					single[i] = append(single[i], ms)
				}
			}
			ms, err := run(s, many)
			if err != nil {
				return err
			}
			if round > 0 { // the first one allocates
				batch[i] = append(batch[i], ms/float64(out.Batch))
			}
		}
		progress.report(phaseTime, min(round+1, mostRounds), mostRounds)
	}
	progress.report(phaseTime, mostRounds, mostRounds)
	for i := range forms {
		out.Models[i].LatencyMS, out.Models[i].BatchLatencyMS = median(single[i]), median(batch[i])
	}
	return nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
