package supernet

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
)

// watch notes, while a network is written, the values that proxies look at.
type watch struct {
	activated []activated
	blocks    []*graph.Value // the stem and what each cell and reduction returns, in order

	response   bool // whether the following are wanted
	pooled     *graph.Value
	variances  []*graph.Value // of normalizations, the mean over the channels, [1]
	normalized []int          // the edge of each, -1 outside of choices
}

// Watched says what values proxies look at in a network.
type Watched struct {
	Activated  []Activated // in the order of Agreements
	Normalized []int       // in the order of Variances, the edge on which a choice decides whether there is a normalization; -1 for those that always are
}

// activated is a value that goes through activations.
type activated struct {
	value *graph.Value
	Activated
}

// Activated says which activations (ReLU and those that stand in its place) a value goes through.
type Activated struct {
	Always int   // activations whatever the architecture
	Edges  []int // edges on which an operation that begins with an activation adds one
	Width  int   // elements for each image
}

// activates notes that x goes through an activation.
func (l *layers) activates(x *graph.Value) {
	if l.watch != nil {
		l.watch.of(x).Always++
	}
}

// chooses notes that x goes into the operation that is chosen for edge e.
func (l *layers) chooses(x *graph.Value, e int) {
	if l.watch != nil {
		a := l.watch.of(x)
		a.Edges = append(a.Edges, e)
	}
}

// inside returns the watch of one branch of a choice: what a branch holds cannot be seen from outside, but for the variance of its
// normalization, which the branch then returns.
func (w *watch) inside() *watch {
	if w == nil || !w.response {
		return nil
	}
	return &watch{response: true}
}

// leaving returns what a branch returns, its result y and, where it is wanted, the variance of its normalization, zero without one.
func (w *watch) leaving(y *graph.Value) []*graph.Value {
	if w == nil {
		return []*graph.Value{y}
	}
	if len(w.variances) == 0 {
		return []*graph.Value{y, y.Graph().Fill(0, 1)}
	}
	return []*graph.Value{y, w.variances[0]}
}

// entered notes what the choice for edge e has returned beside its result, and returns that.
func (w *watch) entered(e int, results []*graph.Value) []*graph.Value {
	if w != nil && len(results) > 1 {
		w.variances, w.normalized = append(w.variances, results[1]), append(w.normalized, e)
	}
	return results[:1]
}

// normalizes notes the variance of the batch that a normalization of n elements a channel has found.
func (l *layers) normalizes(variance *graph.Value, n int) {
	if l.watch == nil || !l.watch.response {
		return
	}
	unbiased := variance.Graph().Scalar(float32(n) / float32(max(n-1, 1)))
	l.watch.variances = append(l.watch.variances, graph.Reshape(graph.Mul(graph.ReduceMean(variance, true, 0), unbiased), 1))
	l.watch.normalized = append(l.watch.normalized, -1)
}

// responds notes what the global pool is given.
func (l *layers) responds(x *graph.Value) *graph.Value {
	if l.watch != nil {
		l.watch.pooled = x
	}
	return x
}

// block notes the result of a part of the skeleton.
func (l *layers) block(x *graph.Value) {
	if l.watch != nil {
		l.watch.blocks = append(l.watch.blocks, x)
	}
}

// relu is ReLU, noted.
func (l *layers) relu(x *graph.Value) *graph.Value {
	l.activates(x)
	return graph.Relu(x)
}

func (w *watch) of(x *graph.Value) *activated {
	i := slices.IndexFunc(w.activated, func(a activated) bool { return a.value == x })
	if i < 0 {
		i = len(w.activated)
		w.activated = append(w.activated, activated{x, Activated{Width: x.Size() / x.Dim(0)}})
	}
	return &w.activated[i]
}

// list returns what is watched.
func (w *watch) list() (out Watched) {
	if w == nil {
		return out
	}
	for _, a := range w.activated {
		out.Activated = append(out.Activated, a.Activated)
	}
	out.Normalized = w.normalized
	return out
}

// Names of the outputs of Sensitivity that tell of patterns and blocks.
const (
	// Agreements is float32 [activated, batch, batch]: for two images the number of elements that are positive for both.
	Agreements = "agreements"
	// Codes is float32 [ceil(batch / CodeBits), elements]: for each element of what is activated, value after value, the sum of 2^i over
	// the images i for which it is positive; each row has the next CodeBits images.
	Codes = "codes"
	// Covariances is float32, one after the other for each block the covariance of its channels over images and positions, [channels,
	// channels].
	Covariances = "covariances"
	// Signs is an input for each block but the first, Signs and its place: what the gradient of the block is begun with, of the block's
	// shape.
	Signs = "signs"
	// Transfers is float32, one after the other for each block but the first the mean over images and positions of the product of the
	// gradient of the block's input and Signs, [channels in, channels]; where the block lowers the resolution by s, each position
	// of the input counts as a channel of its own, [channels in * s * s, channels].
	Transfers = "transfers"
	// Response is float32 [batch, channels, height, width], what the global pool is given.
	Response = "response"
	// Variances is float32 [normalizations], the mean over the channels of the unbiased variance of the batch.
	Variances = "variances"
)

// CodeBits is the number of images that share a number of Codes: float32 holds whole numbers up to 2^24.
const CodeBits = 24

// patterns writes Agreements and Codes.
func (w *watch) patterns(g *graph.Graph) {
	defer g.Scope("patterns")()
	var agreements, codes []*graph.Value
	for _, a := range w.activated {
		n := a.value.Dim(0)
		p := graph.Cast(graph.Greater(graph.Reshape(a.value, n, a.Width), g.Scalar(0)), graph.Float32)
		agreements = append(agreements, graph.Reshape(graph.MatMul(p, graph.Transpose(p, 1, 0)), 1, n, n))
		rows := (n + CodeBits - 1) / CodeBits
		powers := make([]float32, rows*n)
		for i := range n {
			powers[i/CodeBits*n+i] = float32(int(1) << (i % CodeBits))
		}
		codes = append(codes, graph.MatMul(g.Floats(powers, rows, n), p))
	}
	g.Output(Agreements, graph.Concat(0, agreements...), "For each activated value and two images, how many elements are positive for both.")
	g.Output(Codes, graph.Concat(1, codes...), "For each activated element the images for which it is positive, as the bits of numbers.")
}

// covariances writes Covariances.
func (w *watch) covariances(g *graph.Graph) {
	defer g.Scope("covariances")()
	var out []*graph.Value
	for _, x := range w.blocks {
		c := x.Dim(1)
		rows := graph.Reshape(graph.Transpose(x, 1, 0, 2, 3), c, -1)
		rows = graph.Sub(rows, graph.ReduceMean(rows, true, 1))
		sum := graph.MatMul(rows, graph.Transpose(rows, 1, 0))
		out = append(out, graph.Reshape(graph.Mul(sum, g.Scalar(float32(c)/float32(x.Size()))), c*c))
	}
	g.Output(Covariances, graph.Concat(0, out...), "For each block the covariance of its channels.")
}

// responses writes Response and Variances.
func (w *watch) responses(g *graph.Graph) {
	g.Output(Response, w.pooled, "What the global pool is given.")
	g.Output(Variances, graph.Concat(0, w.variances...), "For each normalization the mean variance of its channels.")
}

// transfers writes Transfers.
func (w *watch) transfers(g *graph.Graph) error {
	defer g.Scope("transfers")()
	var out []*graph.Value
	for i, y := range w.blocks[1:] {
		x := w.blocks[i]
		signs := g.Input(fmt.Sprintf("%s%d", Signs, i+1), graph.Float32, y.Shape(), "What the gradient of a block is begun with.")
		grads, err := autodiff.Gradients([]*graph.Value{y}, []*graph.Value{signs}, []*graph.Value{x})
		if err != nil {
			return err
		}
		out = append(out, transfer(x, grads[0], signs))
	}
	g.Output(Transfers, graph.Concat(0, out...), "For each block the mean product of the gradient of its input and what that was begun with.")
	return nil
}

// transfer is the part of Transfers of a block whose input is x and its result y, given the gradient of x that begins with signs.
func transfer(x, gradient, signs *graph.Value) *graph.Value {
	g, in, out := x.Graph(), x.Dim(1), signs.Dim(1)
	height, width := signs.Dim(2), signs.Dim(3)
	down, right := x.Dim(2)/height, x.Dim(3)/width
	n := x.Dim(0)
	positions := n * height * width
	a := graph.Transpose(graph.Reshape(gradient, n, in, height, down, width, right), 1, 3, 5, 0, 2, 4)
	b := graph.Transpose(signs, 0, 2, 3, 1)
	product := graph.MatMul(graph.Reshape(a, in*down*right, positions), graph.Reshape(b, positions, out))
	return graph.Reshape(graph.Mul(product, g.Scalar(1/float32(positions))), -1)
}

// BlockShapes returns the shapes [channels, height, width] of the blocks whose Covariances and Transfers a Sensitivity gives: the stem,
// and every cell and reduction, in order.
func (m Macro) BlockShapes() [][3]int {
	c, h, w := m.Channels, m.Image[1], m.Image[2]
	out := [][3]int{{c, h, w}}
	for stage := range m.stages() {
		for range m.Cells {
			out = append(out, [3]int{c, h, w})
		}
		if stage < m.stages()-1 {
			c, h, w = 2*c, (h+1)/2, (w+1)/2
			out = append(out, [3]int{c, h, w})
		}
	}
	return out
}
