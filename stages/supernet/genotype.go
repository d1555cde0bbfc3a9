package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// Names of the inputs and outputs that only the stand-alone networks of the DARTS space have.
const (
	DropPath      = "drop_path"      // float32 [drops, batch], factor of each sample's result on each edge that drops
	AuxiliaryLoss = "auxiliary_loss" // float32 [1], mean cross-entropy of the auxiliary head
)

// GenotypeNetwork is a genotype of the DARTS space in a skeleton: a stand-alone network with affine normalization.
type GenotypeNetwork struct {
	Genotype space.Genotype
	Macro    DARTSMacro
}

// GenotypeTraining says what a training step of a GenotypeNetwork has beyond that of other networks.
type GenotypeTraining struct {
	Training
	// Auxiliary is the weight of the auxiliary head's loss, 0.4 in the reference code; 0 leaves the head out.
	Auxiliary float64
	// DropPath adds the input drop_path: for each edge but identities, in the order in which they are computed, and each
	// sample a factor of the edge's result: 0, or 1 divided by the probability to keep.
	DropPath bool
}

func (n GenotypeNetwork) check() error {
	if err := n.Genotype.Check(); err != nil {
		return err
	}
	return n.Macro.Check()
}

// Drops returns how many edges of the network drop path applies to: the rows of the input drop_path.
func (n GenotypeNetwork) Drops() int {
	count := 0
	for _, p := range n.Macro.places() {
		for _, node := range cellOf(n.Genotype, p) {
			for _, e := range node {
				if drops(p, e) {
					count++
				}
			}
		}
	}
	return count
}

// Indexes returns the parameters of the network, with those of the auxiliary head if it has one, and its running
// statistics, in the order of their flat vectors. The total of the first is the number of trainable parameters.
func (n GenotypeNetwork) Indexes(auxiliary bool) (parameters, running *params.Index, err error) {
	if err := n.check(); err != nil {
		return nil, nil, fmt.Errorf("network of a genotype: %w", err)
	}
	l := new(layers)
	parameters, err = params.Collect(func(g *graph.Graph, b params.Binder) {
		l.params = b
		l.darts(n.Macro.images(g, 2), n.Macro, auxiliary, l.genotypeCell(n.Genotype, nil))
	})
	running = new(params.Index)
	for _, st := range l.statistics {
		if err == nil {
			err = running.Add(st.name, st.init, st.value.Dim(0))
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("network of a genotype: %w", err)
	}
	return parameters, running, nil
}

// TrainStep returns one step of SGD on the network's weights, which also moves the running statistics.
func (n GenotypeNetwork) TrainStep(t GenotypeTraining) (*onnx.ModelProto, error) {
	if err := t.Validate(""); err != nil {
		return nil, err
	}
	if !(t.Auxiliary >= 0) {
		return nil, fmt.Errorf("network of a genotype: the auxiliary head's weight %v is not a number of at least 0", t.Auxiliary)
	}
	index, stats, err := n.Indexes(t.Auxiliary > 0)
	if err != nil {
		return nil, err
	}
	g := graph.New("network_step")
	x := n.Macro.images(g, t.Batch)
	vector := g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index.")
	running := g.Input(Running, graph.Float32, []int{stats.Total()}, "Running means and variances of the normalizations.")
	flat := params.NewFlat(index, vector)
	l := &layers{params: flat}
	logits, second := l.darts(x, n.Macro, t.Auxiliary > 0, l.genotypeCell(n.Genotype, n.dropPath(g, t)))
	total := t.objective(g, logits)
	if second != nil {
		done := g.Scope("auxiliary_loss")
		more := t.crossEntropy(g, second)
		total = graph.Add(total, graph.Mul(more, g.Scalar(float32(t.Auxiliary))))
		done()
		g.Output(AuxiliaryLoss, more, "Mean cross-entropy of the auxiliary head.")
	}
	if _, err := t.update(g, total, index, flat, vector, autodiff.Without()); err != nil {
		return nil, fmt.Errorf("network of a genotype: training step: %w", err)
	}
	t.moveRunning(g, l, running)
	return n.finish(g, graph.ModelOptions{Doc: "One training step of a stand-alone network of the DARTS space."})
}

// dropPath returns what applies drop path to an edge after the other, or nil.
func (n GenotypeNetwork) dropPath(g *graph.Graph, t GenotypeTraining) func(*graph.Value) *graph.Value {
	count := n.Drops()
	if !t.DropPath || count == 0 {
		return nil
	}
	in := g.Input(DropPath, graph.Float32, []int{count, t.Batch}, "Factor of each sample's result on each edge but identities: 0, or 1 divided by the probability to keep.")
	rows := graph.Split(in, 0, ones(count)...)
	return func(x *graph.Value) *graph.Value {
		factor := graph.Reshape(rows[0], x.Dim(0), 1, 1, 1)
		rows = rows[1:]
		return graph.Mul(x, factor)
	}
}

// Forward returns the network without auxiliary head, with the statistics of the batch and its weights as an input: images
// and params give logits.
func (n GenotypeNetwork) Forward(batch int) (*onnx.ModelProto, error) {
	index, _, err := n.Indexes(false)
	if err != nil {
		return nil, err
	}
	g := graph.New("network")
	x := n.Macro.images(g, batch)
	l := &layers{params: params.NewFlat(index, g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index."))}
	logits, _ := l.darts(x, n.Macro, false, l.genotypeCell(n.Genotype, nil))
	g.Output(Logits, logits, "Unnormalized scores of the classes.")
	return n.finish(g, graph.ModelOptions{Doc: "Stand-alone network of the DARTS space; normalization uses the statistics of the batch."})
}

// Inference returns the network in its form for use: no auxiliary head, normalization by running statistics, weights inside
// the model, any batch size. parameters and running are flat vectors in the order of Indexes(false).
func (n GenotypeNetwork) Inference(parameters, running []float32) (*onnx.ModelProto, error) {
	index, stats, err := n.Indexes(false)
	if err != nil {
		return nil, err
	}
	if len(parameters) != index.Total() || len(running) != stats.Total() {
		return nil, fmt.Errorf("network of a genotype: it has %d parameters and %d running statistics without the auxiliary head, but was given %d and %d", index.Total(), stats.Total(), len(parameters), len(running))
	}
	g := graph.New("classifier")
	x := n.Macro.images(g, 1)
	l := &layers{params: params.NewConst(g, index, parameters), running: params.NewConst(g, stats, running)}
	logits, _ := l.darts(x, n.Macro, false, l.genotypeCell(n.Genotype, nil))
	g.Output(Logits, logits, "Unnormalized scores of the classes.")
	return n.finish(g, graph.ModelOptions{Doc: "Image classifier.", DynamicBatch: true})
}

func (n GenotypeNetwork) finish(g *graph.Graph, o graph.ModelOptions) (*onnx.ModelProto, error) {
	o.Metadata = map[string]string{
		"plateau.space":        "darts",
		"plateau.architecture": n.Genotype.String(),
		"plateau.macro":        compactJSON(n.Macro.macro()),
		"plateau.inputs":       describe(g.Inputs()),
		"plateau.outputs":      describe(g.Outputs()),
	}
	m, err := g.Model(o)
	if err != nil {
		return nil, fmt.Errorf("network of a genotype: %w", err)
	}
	return m, nil
}
