package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// DARTSSupernet is the weight-sharing supernet of the DARTS space in a skeleton. The normalization of the cells has no
// parameters, that of the stem has; all use the statistics of the batch (quark0/darts, cnn/model_search.py).
type DARTSSupernet struct {
	Macro DARTSMacro
	Index *params.Index // the shared weights
}

// NewDARTS returns the supernet of the DARTS space in a skeleton.
func NewDARTS(m DARTSMacro) (*DARTSSupernet, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("supernet of darts: %w", err)
	}
	ix, err := params.Collect(func(g *graph.Graph, b params.Binder) {
		l := &layers{params: b}
		l.darts(m.images(g, 2), m, false, l.relaxedDARTSCell(g.Input(Probabilities, graph.Float32, dartsAlphaShape(), "")))
	})
	if err != nil {
		return nil, fmt.Errorf("supernet of darts: %w", err)
	}
	return &DARTSSupernet{Macro: m, Index: ix}, nil
}

// dartsAlphaShape is the shape of alpha: a matrix [edges, operations] for normal and one for reduction cells.
func dartsAlphaShape() []int { return []int{2, space.DARTSEdges, len(space.DARTSOperations())} }

func (m DARTSMacro) images(g *graph.Graph, batch int) *graph.Value {
	return inputImages(g, batch, Macro{Image: m.Image})
}

// start opens a graph with the inputs that all have, and returns the logits.
func (sn *DARTSSupernet) start(name string, batch int) (g *graph.Graph, flat *params.Flat, vector, alpha, logits *graph.Value) {
	g = graph.New(name)
	x := sn.Macro.images(g, batch)
	alpha = g.Input(Alpha, graph.Float32, dartsAlphaShape(), "Architecture parameters of normal, then of reduction cells; their softmax on each edge weighs the operations.")
	vector = g.Input(Params, graph.Float32, []int{sn.Index.Total()}, "All shared weights, in the order of parameters.json.")
	flat = params.NewFlat(sn.Index, vector)
	l := &layers{params: flat}
	logits, _ = l.darts(x, sn.Macro, false, l.relaxedDARTSCell(graph.Softmax(alpha, 2)))
	return g, flat, vector, alpha, logits
}

func (sn *DARTSSupernet) finish(g *graph.Graph, doc string) (*onnx.ModelProto, error) {
	var edges []string
	for _, e := range space.DARTSCellEdges() {
		edges = append(edges, fmt.Sprintf("%d<-%d", e.To, e.From))
	}
	m, err := g.Model(graph.ModelOptions{Doc: doc, Metadata: map[string]string{
		"plateau.space":      "darts",
		"plateau.macro":      compactJSON(sn.Macro.macro()),
		"plateau.operations": compactJSON(space.DARTSOperations()),
		"plateau.edges":      compactJSON(edges),
		"plateau.inputs":     describe(g.Inputs()),
		"plateau.outputs":    describe(g.Outputs()),
	}})
	if err != nil {
		return nil, fmt.Errorf("supernet of darts: %w", err)
	}
	return m, nil
}

// Forward returns the relaxed supernet: images, alpha [2, 14, 8] and params give logits.
func (sn *DARTSSupernet) Forward(batch int) (*onnx.ModelProto, error) {
	g, _, _, _, logits := sn.start("supernet", batch)
	g.Output(Logits, logits, "Unnormalized scores of the classes.")
	return sn.finish(g, "Weight-sharing supernet of the DARTS space; normalization uses the statistics of the batch.")
}

// JointStep returns one step of SGD on the shared weights that also gives the gradient of the loss by alpha: both halves
// of a search on one batch.
func (sn *DARTSSupernet) JointStep(t Training) (*onnx.ModelProto, error) {
	if err := t.Validate(""); err != nil {
		return nil, err
	}
	g, flat, vector, alpha, logits := sn.start("joint_step", t.Batch)
	grads, err := t.update(g, objective(g, logits, t.LabelSmoothing), sn.Index, flat, vector, alpha)
	if err != nil {
		return nil, fmt.Errorf("supernet of darts: joint_step: %w", err)
	}
	g.Output(AlphaGradient, grads[0], "Gradient of the loss by alpha.")
	return sn.finish(g, "One training step of the shared weights of the DARTS space: forward pass, gradients, clipping, SGD.")
}
