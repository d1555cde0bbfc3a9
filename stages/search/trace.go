package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

const skipConnect = "skip_connect"

// trace notes where alpha stands after an epoch. The largest eigenvalue is always measured on the same batch, so that
// epochs compare.
func (r *run) trace(ctx context.Context, a *alpha, row *result.SearchEpoch, moved bool) (err error) {
	p := a.at(a.theta())
	derived := r.space.Derive(p.weights())
	row.AlphaEntropy, row.Architecture, row.Skips = p.probabilities.Entropy(), r.space.Format(derived), r.skips(derived)
	if !moved || r.Alpha.Hessian == 0 {
		return nil
	}
	row.Eigenvalue, err = a.curvature(ctx, a.fixed, seed.New(r.job.Seed, "hessian", strconv.Itoa(row.Epoch)))
	return err
}

// probabilityTable is what people who watch see of alpha: the edge probabilities, to four digits. Nothing when the search has
// diverged.
func (r *run) probabilityTable(a *alpha) []event.Table {
	t := event.Table{Name: "edge probabilities", Columns: r.space.Operations}
	for e, row := range a.at(a.theta()).probabilities {
		t.Rows = append(t.Rows, r.space.EdgeName(e))
		values := make([]float64, len(row))
		for op, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil
			}
			values[op] = math.Round(v*1e4) / 1e4
		}
		t.Values = append(t.Values, values)
	}
	return []event.Table{t}
}

// fixedBatch returns the first validation images as they are.
func (r *run) fixedBatch(ctx context.Context, size int) (*dataset.Batch, error) {
	loader, err := dataset.NewLoader(r.data.Valid, r.data.Mean, r.data.Std, dataset.LoaderOptions{Batch: size, DropLast: true})
	if err != nil {
		return nil, err
	}
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, err
		}
		return &dataset.Batch{X: slices.Clone(b.X), Y: slices.Clone(b.Y), Count: b.Count}, nil
	}
	return nil, fmt.Errorf("%d validation images do not fill a batch of %d", r.data.Valid.Count, size)
}

// skips counts the skip connections of an architecture, in the first kind of cell where there are several: the normal one.
func (r *run) skips(arch space.Architecture) int {
	skip, ok := r.space.Operation(skipConnect)
	if !ok {
		return 0
	}
	n := 0
	for _, op := range arch[:r.space.CellEdges()] {
		if op == skip {
			n++
		}
	}
	return n
}

// collapsed reports whether the search ends with the epochs so far, because alpha has gone to skip connections (DARTS+; Liang et
// al., arXiv 1909.06035).
func (r *run) collapsed(epochs int) bool {
	if !r.gradient() || r.Alpha.StopSkips == 0 || epochs <= r.Alpha.Start || epochs > len(r.history) {
		return false
	}
	n := r.history[epochs-1].Skips
	if n < r.Alpha.StopSkips {
		return false
	}
	r.job.Info("stopped after epoch %d of %d: %d skip connections, and alpha.stop_skips is %d", epochs, r.Epochs, n, r.Alpha.StopSkips)
	return true
}
