// Package retrain trains a network again, on other images of its data set, and measures it on those that it was not trained on: what
// cross-validation and learning curves are made of.
package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

// Training is one training and its measurement.
type Training struct {
	Name    string // of its files in the scratch folder: "fold1"
	Phase   string // what is shown of it: "fold 1 of 5"
	Recipe  train.Settings
	Network supernet.Network
	Data    *dataset.Dataset // it is trained on Train and measured on Test
	Split   string           // what the metrics call the images that it is measured on
	Seed    uint64
}

// kept is what a training has given, as it lies in the scratch folder.
type kept struct {
	Metrics     json.RawMessage `json:"metrics"`
	Fingerprint string          `json:"fingerprint"`
}

// Run trains and measures, or returns what an earlier attempt has left in the job's scratch folder. A training that was killed is
// continued. A training that diverges is a *train.DivergedError.
func Run(ctx context.Context, rt *runtime.Runtime, job *pipeline.Job, t Training) (*result.Metrics, error) {
	folder, file := "", ""
	if job.Scratch != "" {
		folder, file = filepath.Join(job.Scratch, t.Name), filepath.Join(job.Scratch, t.Name+".json")
		if m, err := read(file); err != nil {
			job.Warn("%v; %s is trained again", err, t.Phase)
		} else if m != nil {
			return m, nil
		}
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return nil, err
		}
	}
	inner := pipeline.NewJob(pipeline.JobConfig{ID: job.ID, Seed: t.Seed, Scratch: folder, Events: event.Func(func(e event.Event) {
		switch {
		case e.Progress != nil:
			p := *e.Progress
			p.Phase = t.Phase
			job.Progress(p)
		case e.Type == event.StageLog && e.Level == "warn":
			job.Warn("%s: %s", t.Phase, e.Message)
		}
	})})
	trained, err := t.Recipe.Fit(ctx, rt, inner, t.Network, t.Data, t.Recipe.Epochs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Phase, err)
	}
	m, err := measure(ctx, rt, trained, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Phase, err)
	}
	if file == "" {
		return m, nil
	}
	text, err := json.Marshal(m)
	if err == nil {
		text, err = json.Marshal(kept{text, checkpoint.Fingerprint(string(text))})
	}
	if err == nil {
		err = atomicfile.WriteBytes(file, text)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping what %s gave: %w", t.Phase, err)
	}
	return m, os.RemoveAll(folder)
}

// read returns what an earlier attempt has left, or nil.
func read(file string) (*result.Metrics, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err == nil && checkpoint.Fingerprint(string(k.Metrics)) != k.Fingerprint {
		err = errors.New("its content is not what was written")
	}
	m := new(result.Metrics)
	if err == nil {
		err = json.Unmarshal(k.Metrics, m)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was measured before: %w", err)
	}
	return m, nil
}

// measure measures a trained network on the test images.
func measure(ctx context.Context, rt *runtime.Runtime, trained *train.Trained, t Training) (*result.Metrics, error) {
	weights, statistics, err := trained.Weights()
	if err != nil {
		return nil, err
	}
	m, err := trained.Network.Inference(weights, statistics)
	if err != nil {
		return nil, err
	}
	model, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	o := evaluate.DefaultOptions()
	o.Split, o.Dataset, o.Input, o.LatencyRuns = t.Split, t.Data.Name, evaluate.InputNormalized, 0
	o.DataMean, o.DataStd = t.Data.Mean, t.Data.Std
	out, err := evaluate.Bytes(ctx, rt, model, t.Data.Test, t.Data.Classes, o)
	if err != nil {
		return nil, err
	}
	out.Throughput, out.SizeBytes = nil, 0 // differ from run to run, or belong to no file
	return out, nil
}

// Pool puts the metrics of parts of a data set's images together, as of one that is measured on all. The images of part i are those with the
// given indices, by which mistakes are then known. Loss and top-5 are means over images.
func Pool(parts []*result.Metrics, indices [][]int) *result.Metrics {
	out := *parts[0]
	out.Count, out.Top1, out.Top5, out.Loss, out.Mistakes, out.PerClass, out.Confusion = 0, 0, 0, 0, nil, nil, nil
	hits := make([]int, len(parts[0].PerClass))
	counts := make([]int, len(hits))
	total := 0
	for _, list := range indices {
		for _, i := range list {
			total = max(total, i+1)
		}
	}
	out.Right = make([]byte, (total+7)/8)
	out.Confusion = make([][]int, len(hits))
	for c := range out.Confusion {
		out.Confusion[c] = make([]int, len(hits))
	}
	right := 0
	for p, m := range parts {
		out.Count += m.Count
		out.Top5 += m.Top5 * float64(m.Count)
		out.Loss += m.Loss * float64(m.Count)
		for i := range m.Count {
			if m.Right[i/8]>>(i%8)&1 == 1 {
				at := indices[p][i]
				out.Right[at/8] |= 1 << (at % 8)
				right++
			}
		}
		for c, row := range m.Confusion {
			for k, n := range row {
				out.Confusion[c][k] += n
				counts[c] += n
			}
			hits[c] += row[c]
		}
		for _, w := range m.Mistakes {
			w.Image = indices[p][w.Image]
			out.Mistakes = append(out.Mistakes, w)
		}
	}
	n := float64(out.Count)
	out.Top1, out.Top5, out.Loss = float64(right)/n, out.Top5/n, out.Loss/n
	for c, part := range parts[0].PerClass {
		one := result.ClassTop1{Class: part.Class, Count: counts[c]}
		if counts[c] > 0 {
			one.Top1 = float64(hits[c]) / float64(counts[c])
		}
		out.PerClass = append(out.PerClass, one)
	}
	out.Balanced = evaluate.Balanced(out.PerClass)
	evaluate.SortMistakes(out.Mistakes)
	out.Mistakes = out.Mistakes[:min(len(out.Mistakes), result.MostMistakes)]
	return &out
}
