package supernet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// Network is one architecture in a macro skeleton: a stand-alone network with affine normalization. In the DARTS space it
// is the GenotypeNetwork of the architecture, in the space of plain networks a network that is no skeleton with cells: then
// Channels is its width, and Cells is 1.
type Network struct {
	Space        string `json:"space"`
	Architecture string `json:"architecture"`
	Macro
}

// resolve parses what the network names.
func (n Network) resolve() (*space.Space, space.Architecture, error) {
	s, err := space.ByName(n.Space)
	if err != nil {
		return nil, nil, err
	}
	a, err := s.Parse(n.Architecture)
	if err != nil {
		return nil, nil, err
	}
	if err := n.Macro.CheckFor(s); err != nil {
		return nil, nil, fmt.Errorf("network %s: %w", n.Architecture, err)
	}
	if n.Partial > 1 {
		return nil, nil, fmt.Errorf("network %s: partial channels are for supernets; a network gives its operations all of them", n.Architecture)
	}
	return s, a, nil
}

// Genotype returns the network as one of a genotype, if it is in the DARTS space; ok tells whether it is.
func (n Network) Genotype() (g GenotypeNetwork, ok bool, err error) {
	s, a, err := n.resolve()
	if err != nil || !s.Pairs {
		return g, false, err
	}
	g.Macro = n.Macro.DARTS()
	g.Genotype, err = space.GenotypeOf(a)
	return g, err == nil, err
}

// Indexes returns the parameters of the network and its running statistics, in the order of their flat vectors. The
// total of the first is the number of trainable parameters.
func (n Network) Indexes() (parameters, running *params.Index, err error) {
	if g, ok, err := n.Genotype(); ok || err != nil {
		if err != nil {
			return nil, nil, err
		}
		return g.Indexes(false)
	}
	s, a, err := n.resolve()
	if err != nil {
		return nil, nil, err
	}
	l := new(layers)
	parameters, err = params.Collect(func(g *graph.Graph, b params.Binder) {
		l.params = b
		l.network(inputImages(g, 2, n.Macro), n.Macro, s, a)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("network %s: %w", n.Architecture, err)
	}
	running = new(params.Index)
	for _, st := range l.statistics {
		if err := running.Add(st.name, st.init, st.value.Dim(0)); err != nil {
			return nil, nil, fmt.Errorf("network %s: %w", n.Architecture, err)
		}
	}
	return parameters, running, nil
}

// TrainStep returns one step of SGD on the network's weights, which also moves the running statistics.
func (n Network) TrainStep(t Training) (*onnx.ModelProto, error) {
	if g, ok, err := n.Genotype(); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return g.TrainStep(GenotypeTraining{Training: t})
	}
	if err := t.Validate(""); err != nil {
		return nil, err
	}
	s, a, err := n.resolve()
	if err != nil {
		return nil, err
	}
	index, stats, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	g := graph.New("network_step")
	x := inputImages(g, t.Batch, n.Macro)
	vector := g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index.")
	running := g.Input(Running, graph.Float32, []int{stats.Total()}, "Running means and variances of the normalizations.")
	flat := params.NewFlat(index, vector)
	l := &layers{params: flat}
	logits := l.network(x, n.Macro, s, a)
	if _, err := t.update(g, t.objective(g, logits), index, flat, vector, autodiff.Without()); err != nil {
		return nil, fmt.Errorf("network %s: training step: %w", n.Architecture, err)
	}
	t.moveRunning(g, l, running)
	m, err := g.Model(graph.ModelOptions{Doc: "One training step of a stand-alone network.", Metadata: n.metadata(g)})
	if err != nil {
		return nil, fmt.Errorf("network %s: training step: %w", n.Architecture, err)
	}
	return m, nil
}

// network writes the network of an architecture and returns its logits.
func (l *layers) network(x *graph.Value, m Macro, s *space.Space, a space.Architecture) *graph.Value {
	if s.Whole {
		return l.plainNetwork(s.Operations[a[0]], x, m)
	}
	return l.macro(x, m, l.discreteCell(s, a, true))
}

// average moves the running statistics toward those of the batch, all at once.
func (l *layers) average(g *graph.Graph, running *graph.Value) *graph.Value {
	defer g.Scope("running")()
	var batch []*graph.Value
	var share []float32
	for _, st := range l.statistics {
		batch = append(batch, st.value)
		for range st.value.Dim(0) {
			share = append(share, (1-runningMomentum)*st.unbias)
		}
	}
	return graph.Add(graph.Mul(running, g.Floats([]float32{runningMomentum}, 1)), graph.Mul(graph.Concat(0, batch...), g.Floats(share, len(share))))
}

// Forward returns the network with the statistics of the batch and its weights as an input: images and params give
// logits. It is what a supernet computes when it is given this architecture.
func (n Network) Forward(batch int) (*onnx.ModelProto, error) {
	if g, ok, err := n.Genotype(); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return g.Forward(batch)
	}
	s, a, err := n.resolve()
	if err != nil {
		return nil, err
	}
	index, _, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	g := graph.New("network")
	x := inputImages(g, batch, n.Macro)
	l := &layers{params: params.NewFlat(index, g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index."))}
	g.Output(Logits, l.network(x, n.Macro, s, a), "Unnormalized scores of the classes.")
	return g.Model(graph.ModelOptions{Metadata: n.metadata(g)})
}

// Inference returns the network in its form for use: normalization by running statistics, weights inside the model, any
// batch size. parameters and running are flat vectors in the order of Indexes. The input is normalized images.
func (n Network) Inference(parameters, running []float32) (*onnx.ModelProto, error) {
	if g, ok, err := n.Genotype(); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return g.Inference(parameters, running)
	}
	s, a, err := n.resolve()
	if err != nil {
		return nil, err
	}
	index, stats, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	if len(parameters) != index.Total() || len(running) != stats.Total() {
		return nil, fmt.Errorf("network %s has %d parameters and %d running statistics, but was given %d and %d", n.Architecture, index.Total(), stats.Total(), len(parameters), len(running))
	}
	g := graph.New("classifier")
	x := inputImages(g, 1, n.Macro)
	l := &layers{params: params.NewConst(g, index, parameters), running: params.NewConst(g, stats, running)}
	g.Output(Logits, l.network(x, n.Macro, s, a), "Unnormalized scores of the classes.")
	m, err := g.Model(graph.ModelOptions{Doc: "Image classifier.", DynamicBatch: true, Metadata: n.metadata(g)})
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", n.Architecture, err)
	}
	return m, nil
}

func (n Network) metadata(g *graph.Graph) map[string]string {
	return map[string]string{
		"plateau.space":        n.Space,
		"plateau.architecture": n.Architecture,
		"plateau.macro":        compactJSON(n.Macro),
		"plateau.inputs":       describe(g.Inputs()),
		"plateau.outputs":      describe(g.Outputs()),
	}
}

// WriteNetwork writes network.json.
func WriteNetwork(path string, n Network) error {
	if _, _, err := n.resolve(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	data, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, append(data, '\n'))
}

// ReadNetwork reads network.json.
func ReadNetwork(path string) (Network, error) {
	var n Network
	data, err := os.ReadFile(path)
	if err != nil {
		return n, fmt.Errorf("reading a network: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&n); err != nil {
		return n, fmt.Errorf("reading a network from %s: %w", path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("reading a network from %s: something follows the end of the value", path)
	}
	if _, _, err := n.resolve(); err != nil {
		return n, fmt.Errorf("reading a network from %s: %w", path, err)
	}
	return n, nil
}
