package table

import (
	"context"
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/stages/neighborhood"
)

// AppendNeighbors appends to dst the ranks of the architectures at distance 1 to radius of the one of the given rank, in the
// order of space.Neighbors, and allocates nothing when dst has room.
func (t *Table) AppendNeighbors(dst []int32, rank, radius int) []int32 {
	for d := 1; d <= min(radius, len(t.strides)); d++ {
		dst = t.appendShell(dst, rank, 0, d)
	}
	return dst
}

// appendShell changes left more edges, from the edge start on.
func (t *Table) appendShell(dst []int32, rank, start, left int) []int32 {
	if left == 0 {
		return append(dst, int32(rank))
	}
	k := len(t.space.Operations)
	for e := start; e <= len(t.strides)-left; e++ {
		stride := t.strides[e]
		own := rank / stride % k
		for op := range k {
			if op != own {
				dst = t.appendShell(dst, rank+(op-own)*stride, e+1, left-1)
			}
		}
	}
	return dst
}

// classes numbers the classes of the architectures (space.Space.Class) by rank; where all neighbors count, they need none.
func (t *Table) classes(st neighborhood.Settings) []int32 {
	out := make([]int32, t.Size())
	if st.CountsAll() {
		return out
	}
	numbers := map[string]int32{}
	for rank := range out {
		class := t.space.Class(t.Architecture(rank))
		n, ok := numbers[class]
		if !ok {
			n = int32(len(numbers))
			numbers[class] = n
		}
		out[rank] = n
	}
	return out
}

// Aggregate returns for every rank what the aggregator of the settings makes of the values of its whole neighborhood: scores by
// rank, higher is better, NaN where there is none. An architecture without a value has no aggregate; neighbors without
// one are left out. Where none of the others counts (Settings.Equivalents), it is the architecture's own value. Settings.Samples must be 0.
func (t *Table) Aggregate(ctx context.Context, values []float64, st neighborhood.Settings) ([]float64, error) {
	fail := func(err error) ([]float64, error) {
		return nil, fmt.Errorf("aggregate a table of space %s: %w", t.space.Name, err)
	}
	if err := st.CheckSpace(t.space); err != nil {
		return fail(err)
	}
	if st.Samples != 0 {
		return fail(fmt.Errorf("%d sampled neighbors: whole neighborhoods are aggregated here; use 0", st.Samples))
	}
	if len(values) != t.Size() {
		return fail(fmt.Errorf("%d values for %d architectures", len(values), t.Size()))
	}
	agg, err := neighborhood.New(st.AggregatorSettings)
	if err != nil {
		return fail(err)
	}
	out := make([]float64, len(values))
	if st.Radius <= 0 {
		copy(out, values)
		return out, nil
	}
	// The distances of the members are the same for every center.
	var distances []float64
	if st.IncludeCenter {
		distances = append(distances, 0)
	}
	for d := 1; d <= st.Radius; d++ {
		for range t.space.ShellSize(d) {
			distances = append(distances, float64(d))
		}
	}
	classes := t.classes(st)
	members := make([]int32, 0, len(distances))
	scores, at := make([]float64, 0, len(distances)), make([]float64, 0, len(distances))
	for rank := range out {
		if rank%64 == 0 {
			if err := ctx.Err(); err != nil {
				return fail(err)
			}
		}
		if math.IsNaN(values[rank]) {
			out[rank] = math.NaN()
			continue
		}
		members, scores, at = members[:0], scores[:0], at[:0]
		if st.IncludeCenter {
			members = append(members, int32(rank))
		}
		members = t.AppendNeighbors(members, rank, st.Radius)
		counted, known := neighborhood.NewCounted(st, classes[rank]), false
		for i, m := range members {
			if v := values[m]; !math.IsNaN(v) {
				if known = true; int(m) == rank || counted.Next(classes[m]) {
					scores, at = append(scores, v), append(at, distances[i])
				}
			}
		}
		if len(scores) == 0 && known { // none counts, so it stands alone, as in neighborhood.Draw
			scores, at = append(scores, values[rank]), append(at, 0)
		}
		out[rank] = agg.Aggregate(scores, at)
	}
	return out, nil
}
