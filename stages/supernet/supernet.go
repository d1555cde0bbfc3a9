package supernet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// Supernet is a search space in a macro skeleton, all architectures sharing one vector of weights. The normalization
// of the cells has no parameters and every normalization uses the statistics of the batch, as in the reference
// supernets (of the DARTS space, quark0/darts, cnn/model_search.py); their convolution bias is left out, since a normalization right after it takes it away again.
type Supernet struct {
	Space *space.Space
	Macro Macro
	Index *params.Index // the shared weights
	// Recompute is Training.Recompute for ArchitectureStep.
	Recompute bool
	// Without names formulations that are not used (see Formulations): for comparisons.
	Without []string
}

// New returns the supernet of a space in a skeleton.
func New(s *space.Space, m Macro) (*Supernet, error) {
	if err := m.CheckFor(s); err != nil {
		return nil, fmt.Errorf("supernet of %s: %w", s.Name, err)
	}
	if s.Whole {
		return nil, fmt.Errorf("the space %s has whole networks, which share no weights; train one by itself", s.Name)
	}
	sn := &Supernet{Space: s, Macro: m}
	ix, err := params.Collect(func(g *graph.Graph, b params.Binder) {
		p := g.Input(Probabilities, graph.Float32, []int{len(s.Edges), len(s.Operations)}, "")
		sn.logits(&layers{params: b, parts: m.Partial}, inputImages(g, 2, m), relaxed, p)
	})
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: %w", s.Name, err)
	}
	sn.Index = ix
	return sn, nil
}

// form is how a graph of the supernet is told the architecture.
type form int

const (
	relaxed form = iota // edge probabilities
	raw                 // alpha, turned into edge probabilities by the graph
	path                // one operation an edge
)

// start opens a graph with the inputs that all have, and returns the logits. chosen is the input that tells the
// architecture.
func (sn *Supernet) start(name string, batch int, f form) (g *graph.Graph, flat *params.Flat, vector, chosen, logits *graph.Value) {
	g = graph.New(name)
	x := inputImages(g, batch, sn.Macro)
	edges, ops := len(sn.Space.Edges), len(sn.Space.Operations)
	var given *graph.Value
	switch f {
	case raw:
		chosen = g.Input(Alpha, graph.Float32, []int{edges, ops}, "Architecture parameters; their softmax on each edge weighs the operations.")
		given = graph.Softmax(chosen, 1)
	case relaxed:
		chosen = g.Input(Probabilities, graph.Float32, []int{edges, ops}, "Weight of each operation on each edge: the edge probabilities, softmax of alpha. One-hot rows give the architecture that they choose.")
		given = chosen
	default:
		chosen = g.Input(Choices, graph.Int64, []int{edges}, "The operation on each edge, as its place in the list of operations.")
		given = chosen
	}
	vector = g.Input(Params, graph.Float32, []int{sn.Index.Total()}, "All shared weights, in the order of parameters.json.")
	flat = params.NewFlat(sn.Index, vector)
	return g, flat, vector, chosen, sn.logits(&layers{params: flat, parts: sn.Macro.Partial}, x, f, given)
}

// logits writes the network: skeleton and cells of the space. given are probabilities or, for path, choices.
func (sn *Supernet) logits(l *layers, x *graph.Value, f form, given *graph.Value) *graph.Value {
	l.copied, l.plain = slices.Contains(sn.Without, SpreadFilters), slices.Contains(sn.Without, SmallImages)
	l.pointwise = !slices.Contains(sn.Without, PointwiseStatistics)
	switch {
	case sn.Space.Pairs && f == path:
		logits, _ := l.darts(x, sn.Macro.DARTS(), false, l.pathDARTSCell(sn.Index, given))
		return logits
	case sn.Space.Pairs:
		logits, _ := l.darts(x, sn.Macro.DARTS(), false, l.relaxedDARTSCell(graph.Reshape(given, 2, space.DARTSEdges, -1)))
		return logits
	case f == path:
		return l.macro(x, sn.Macro, l.pathCell(sn.Space, given))
	}
	if slices.Contains(sn.Without, JoinedOperations) || !joins(sn.Space) {
		return l.macro(x, sn.Macro, l.relaxedCell(sn.Space, given))
	}
	return l.macro(x, sn.Macro, l.joinedCell(sn.Space, given))
}

func (sn *Supernet) finish(g *graph.Graph, doc string) (*onnx.ModelProto, error) {
	return sn.finishWith(g, doc, nil)
}

// finishWith is finish with more to tell about the graph.
func (sn *Supernet) finishWith(g *graph.Graph, doc string, more map[string]string) (*onnx.ModelProto, error) {
	about := sn.metadata(g)
	maps.Copy(about, more)
	m, err := g.Model(graph.ModelOptions{Doc: doc, Metadata: about})
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: %w", sn.Space.Name, err)
	}
	return m, nil
}

// metadata describes a graph for those who meet the file alone.
func (sn *Supernet) metadata(g *graph.Graph) map[string]string {
	return map[string]string{
		"plateau.space":      sn.Space.Reference(),
		"plateau.macro":      compactJSON(sn.Macro),
		"plateau.operations": compactJSON(sn.Space.Operations),
		"plateau.edges":      compactJSON(edgeNames(sn.Space)),
		"plateau.inputs":     describe(g.Inputs()),
		"plateau.outputs":    describe(g.Outputs()),
	}
}

// describe tells what the inputs or outputs of a graph are.
func describe(values []*graph.Value) string {
	type entry struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Shape   []int  `json:"shape"`
		Meaning string `json:"meaning"`
	}
	var out []entry
	for _, v := range values {
		out = append(out, entry{v.Name(), v.DType().String(), v.Shape(), v.Doc()})
	}
	return compactJSON(out)
}

func edgeNames(s *space.Space) []string {
	out := make([]string, len(s.Edges))
	for i := range s.Edges {
		out[i] = s.EdgeName(i)
	}
	return out
}

// compactJSON encodes values of this package, which cannot fail. Edges such as 1<-0 stay readable.
func compactJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Forward returns the relaxed supernet: images, probabilities and params give logits.
func (sn *Supernet) Forward(batch int) (*onnx.ModelProto, error) {
	g, _, _, _, logits := sn.start("supernet", batch, relaxed)
	g.Output(Logits, logits, "Unnormalized scores of the classes.")
	return sn.finish(g, "Weight-sharing supernet; normalization uses the statistics of the batch.")
}

// Path returns the supernet that computes one architecture: images, choices and params give logits.
func (sn *Supernet) Path(batch int) (*onnx.ModelProto, error) {
	g, _, _, _, logits := sn.start("path", batch, path)
	g.Output(Logits, logits, "Unnormalized scores of the classes.")
	return sn.finish(g, "Weight-sharing supernet that computes only the chosen operations; normalization uses the statistics of the batch.")
}

// TrainStep returns one step of SGD on the shared weights of the relaxed supernet.
func (sn *Supernet) TrainStep(t Training) (*onnx.ModelProto, error) {
	return sn.trainStep("train_step", t, relaxed, false)
}

// JointStep is a training step that takes alpha instead of the edge probabilities and also gives the gradient of the
// loss by it: both halves of a search on one batch.
func (sn *Supernet) JointStep(t Training) (*onnx.ModelProto, error) {
	return sn.trainStep("joint_step", t, raw, true)
}

// PathStep returns one step of SGD on the shared weights along one architecture. The gradient of weights that it
// does not use is zero; weight decay and momentum move them all the same, as they do in the reference code.
func (sn *Supernet) PathStep(t Training) (*onnx.ModelProto, error) {
	return sn.trainStep("path_step", t, path, false)
}

func (sn *Supernet) trainStep(name string, t Training, f form, architecture bool) (*onnx.ModelProto, error) {
	if err := t.Validate(""); err != nil {
		return nil, err
	}
	g, flat, vector, chosen, logits := sn.start(name, t.Batch, f)
	l := objective(g, logits, t.LabelSmoothing)
	var extra []*graph.Value
	if architecture {
		extra = append(extra, chosen)
	}
	grads, err := t.update(g, l, sn.Index, flat, vector, gradientsWithout(sn.Without), extra...)
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: %s: %w", sn.Space.Name, name, err)
	}
	if architecture {
		g.Output(AlphaGradient, grads[0], "Gradient of the loss by alpha.")
	}
	return sn.finishWith(g, "One training step of the shared weights: forward pass, gradients, clipping, SGD.", map[string]string{trainingKey: compactJSON(t)})
}

// ArchitectureStep returns the loss and its gradient by the probabilities, the weights being fixed: what a
// gradient-based search asks for once for each neighbor.
func (sn *Supernet) ArchitectureStep(batch int) (*onnx.ModelProto, error) {
	g, _, _, chosen, logits := sn.start("architecture_step", batch, relaxed)
	l := objective(g, logits, 0)
	grads, err := autodiff.Gradients([]*graph.Value{l}, []*graph.Value{nil}, []*graph.Value{chosen}, append(saving(sn.Recompute), gradientsWithout(sn.Without))...)
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: architecture_step: %w", sn.Space.Name, err)
	}
	g.Output(Gradient, grads[0], "Gradient of the loss by the probabilities.")
	return sn.finish(g, "Loss and its gradient by the edge probabilities, with the weights fixed.")
}

// Of returns the search space and the skeleton that a graph of this package was made for.
func Of(model []byte) (*space.Space, Macro, error) {
	m, err := onnx.Decode(model)
	if err != nil {
		return nil, Macro{}, err
	}
	about := onnx.Metadata(m)
	var macro Macro
	if err := json.Unmarshal([]byte(about["plateau.macro"]), &macro); err != nil || about["plateau.space"] == "" {
		return nil, Macro{}, errors.New("the model does not say which search space and skeleton it has; it was not made by the supernet stage")
	}
	s, err := space.ByName(about["plateau.space"])
	if err == nil {
		err = macro.CheckFor(s)
	}
	if err != nil {
		return nil, Macro{}, fmt.Errorf("reading what a supernet was made for: %w", err)
	}
	return s, macro, nil
}
