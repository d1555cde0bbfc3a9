package supernet

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
)

// BatchStatistics is the output of Network.Statistics: float32 [statistics], means and unbiased variances of a batch.
const BatchStatistics = "statistics_of_batch"

// Statistics returns what the normalizations of the network see in a batch: images and params give the batch's statistics in the
// order of the running index. Their mean over batches are running statistics for weights that were not trained with any,
// as those of a supernet.
func (n Network) Statistics(batch int) (*onnx.ModelProto, error) {
	index, running, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	g := graph.New("statistics")
	x := inputImages(g, batch, n.Macro)
	l := &layers{params: params.NewFlat(index, g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index."))}
	if _, err := n.write(x, l); err != nil {
		return nil, err
	}
	var parts []*graph.Value
	for _, st := range l.statistics {
		parts = append(parts, graph.Mul(st.value, g.Scalar(st.unbias)))
	}
	all := graph.Concat(0, parts...)
	if g.Err() == nil && all.Size() != running.Total() {
		g.Fail("statistics", fmt.Errorf("%d statistics, %d are kept", all.Size(), running.Total()))
	}
	g.Output(BatchStatistics, all, "Means and variances of the batch.")
	m, err := g.Model(graph.ModelOptions{Doc: "Statistics of a batch of images.", Metadata: n.metadata(g)})
	if err != nil {
		return nil, fmt.Errorf("network %s: statistics: %w", n.Architecture, err)
	}
	return m, nil
}

// Inherit returns weights of the stand-alone network with those of the supernet's layers that it has too. What the supernet does
// not have, the scales and biases of the cells' normalizations, begins as in training: the network computes what the
// supernet computes.
func (sn *Supernet) Inherit(n Network, shared []float32) ([]float32, error) {
	if sn.Space.Pairs {
		return nil, errors.New("the supernet of the DARTS space keeps the weights of several edges in one parameter; stand-alone networks do not inherit from it")
	}
	index, _, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	weights := make([]float32, index.Total())
	for _, p := range index.All() {
		switch _, known := sn.Index.Lookup(p.Name); {
		case known || p.Init == params.Zeros:
		case p.Init == params.Ones:
			for i := range p.Of(weights) {
				p.Of(weights)[i] = 1
			}
		default:
			return nil, fmt.Errorf("network %s: the supernet has no %s to inherit", n.Architecture, p.Name)
		}
	}
	_, err = params.Copy(weights, index, shared, sn.Index, func(name string) (string, bool) {
		_, known := sn.Index.Lookup(name)
		return name, known
	})
	return weights, err
}
