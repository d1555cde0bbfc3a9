package supernet

import (
	"errors"
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/loss"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
)

// Names of the inputs and outputs of the graphs of this package. State that a step replaces goes in under its name
// and comes out under "next_" and its name.
const (
	Images          = "images"             // float32 [batch, channels, height, width], normalized
	Labels          = "labels"             // int64 [batch], 0 to classes-1
	MixedLabels     = "mixed_labels"       // int64 [batch], the labels of what has been mixed into the images
	LabelShare      = "label_share"        // float32 [1], share of labels in the target of mixed images, 0 to 1
	Probabilities   = "probabilities"      // float32 [edges, operations], the edge probabilities
	Choices         = "choices"            // int64 [edges], the operation on each edge
	Params          = "params"             // float32 [parameters], the weights in the order of parameters.json
	Momentum        = "momentum"           // float32 [parameters], the optimizer's momentum buffer
	Running         = "running"            // float32 [statistics], running means and variances
	LearningRate    = "learning_rate"      // float32 [1]
	Averaged        = "averaged_params"    // float32 [parameters], moving average of the weights
	AveragedRunning = "averaged_running"   // float32 [statistics], moving average of the running statistics
	AverageKeep     = "average_keep"       // float32 [1], share of the old value that the averages keep in this step
	Logits          = "logits"             // float32 [batch, classes]
	Loss            = "loss"               // float32 [1], mean cross-entropy of the batch
	Correct         = "correct"            // float32 [1], images whose largest logit is their label's
	Gradient        = "grad_probabilities" // float32 [edges, operations], of the loss
	Alpha           = "alpha"              // float32 [edges, operations], the architecture parameters
	AlphaGradient   = "grad_alpha"         // float32 [edges, operations], of the loss
	next            = "next_"
)

// Training are the settings of a training step, as they stand in a document.
type Training struct {
	Batch              int     `yaml:"batch" json:"batch" doc:"Images a training step."`
	Momentum           float64 `yaml:"momentum" json:"momentum" doc:"Momentum of SGD, 0 to below 1."`
	Nesterov           bool    `yaml:"nesterov" json:"nesterov" doc:"Whether the momentum is Nesterov's."`
	WeightDecay        float64 `yaml:"weight_decay" json:"weight_decay" doc:"Weight decay (L2) of SGD."`
	Clip               float64 `yaml:"clip" json:"clip" doc:"Largest norm of the gradient of all weights together; 0 does not clip."`
	LabelSmoothing     float64 `yaml:"label_smoothing" json:"label_smoothing" doc:"Share of the target that is spread over all classes, 0 to below 1."`
	SpareNormalization bool    `yaml:"spare_normalization" json:"spare_normalization,omitempty" doc:"Whether weight decay leaves the scales and shifts of normalizations and all biases alone, and acts on the weights of convolutions and linear layers only."`
	Recompute          bool    `yaml:"recompute" json:"recompute" doc:"Whether to compute activations that are cheap to compute again in the backward pass instead of keeping them: less memory, the same results but for rounding."`
	// Average adds a moving average of the weights, and of the running statistics where a step has them, to the step's state, with
	// the share that it keeps as an input. What trains decides whether it wants one, so it is no setting of a document's step.
	Average bool `yaml:"-" json:"average,omitempty"`
	// Mixed adds second labels of the images, and the share of the first ones, to a step's inputs: for images that are put together of
	// two. Supernets do not have it.
	Mixed bool `yaml:"-" json:"mixed,omitempty"`
}

// DefaultTraining returns the settings of the DARTS baseline on NAS-Bench-201 (Dong and Yang, ICLR 2020).
func DefaultTraining() Training {
	return Training{Batch: 64, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4, Clip: 5}
}

// Validate checks the ranges and reports every mistake, each as a *pipeline.SettingError with a path below prefix.
func (t Training) Validate(prefix string) error {
	var errs []error
	check := func(ok bool, name, format string, args ...any) {
		if ok {
			return
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		errs = append(errs, &pipeline.SettingError{Path: name, Err: fmt.Errorf(format, args...)})
	}
	// The conditions are written so that they are false for what is not a number.
	check(t.Batch >= 2, "batch", "%d images a step; batch normalization needs at least 2", t.Batch)
	check(t.Momentum >= 0 && t.Momentum < 1, "momentum", "%v is not in [0, 1)", t.Momentum)
	check(!t.Nesterov || t.Momentum != 0, "nesterov", "Nesterov's method needs a momentum above 0")
	check(t.WeightDecay >= 0 && !math.IsInf(t.WeightDecay, 0), "weight_decay", "%v is not a number of at least 0", t.WeightDecay)
	check(t.Clip >= 0 && !math.IsInf(t.Clip, 0), "clip", "%v is not a number of at least 0", t.Clip)
	check(t.LabelSmoothing >= 0 && t.LabelSmoothing < 1, "label_smoothing", "%v is not in [0, 1)", t.LabelSmoothing)
	return errors.Join(errs...)
}

// saving returns how the backward pass saves memory: it goes in order, which costs nothing, and recomputes where that is wanted.
func saving(recompute bool) []autodiff.Option {
	if recompute {
		return []autodiff.Option{autodiff.Recompute(autodiff.Large)}
	}
	return []autodiff.Option{autodiff.InOrder(autodiff.Large)}
}

// update adds the weight update to a training graph: gradients of the loss by the bound parameters, clipping, SGD.
func (t Training) update(g *graph.Graph, objective *graph.Value, index *params.Index, flat *params.Flat, vector *graph.Value, o autodiff.Option, extra ...*graph.Value) ([]*graph.Value, error) {
	momentum := g.Input(Momentum, graph.Float32, []int{index.Total()}, "Momentum buffer of SGD; zeros at the start.")
	lr := g.Input(LearningRate, graph.Float32, []int{1}, "Learning rate of this step.")
	grads, err := autodiff.Gradients([]*graph.Value{objective}, []*graph.Value{nil}, append(append([]*graph.Value{}, flat.Values()...), extra...), append(saving(t.Recompute), o)...)
	if err != nil {
		return nil, err
	}
	defer g.Scope("optimizer")()
	gradient := index.Pack(grads[:index.Len()])
	if t.Clip > 0 {
		gradient, _ = optimizer.ClipGlobalNorm(gradient, float32(t.Clip))
	}
	sgd := optimizer.SGD{Momentum: float32(t.Momentum), WeightDecay: float32(t.WeightDecay), Nesterov: t.Nesterov, Decayed: t.decayed(index)}
	nextParams, nextMomentum := sgd.Step(vector, gradient, momentum, lr)
	g.Output(next+Params, nextParams, "The weights after this step.")
	g.Output(next+Momentum, nextMomentum, "The momentum buffer after this step.")
	if t.Average {
		keep := g.Input(AverageKeep, graph.Float32, []int{1}, "Share of the old value that the moving averages keep in this step.")
		averaged := g.Input(Averaged, graph.Float32, []int{index.Total()}, "Moving average of the weights.")
		g.Output(next+Averaged, optimizer.Average(averaged, nextParams, keep), "The moving average of the weights after this step.")
	}
	return grads[index.Len():], nil
}

// decayed returns the factors of the weight decay, or nil where it acts on all parameters alike.
func (t Training) decayed(index *params.Index) []float32 {
	if !t.SpareNormalization {
		return nil
	}
	out := make([]float32, index.Total())
	for _, p := range index.All() {
		// Only what normalizations and biases are made of has fewer than two dimensions.
		if len(p.Shape) < 2 {
			continue
		}
		for i := range p.Of(out) {
			p.Of(out)[i] = 1
		}
	}
	return out
}

// objective adds labels, loss and hits to the training graph of a stand-alone network, and returns the loss.
func (t Training) objective(g *graph.Graph, logits *graph.Value) *graph.Value {
	if !t.Mixed {
		return objective(g, logits, t.LabelSmoothing)
	}
	defer g.Scope("loss")()
	labels := g.Input(Labels, graph.Int64, []int{logits.Dim(0)}, "Class of each image, from 0.")
	g.Input(MixedLabels, graph.Int64, []int{logits.Dim(0)}, "Class of what has been mixed into each image.")
	g.Input(LabelShare, graph.Float32, []int{1}, "Share of the labels in the target; that of the mixed labels is the rest.")
	l := t.crossEntropy(g, logits)
	g.Output(Loss, l, "Mean cross-entropy of the batch.")
	g.Output(Correct, loss.Correct(logits, labels), "How many images of the batch are classified correctly, by the labels alone.")
	return l
}

// crossEntropy returns the loss of logits by the labels that objective has added. The cross-entropy is linear in its target, so that of
// a mixture of labels is the mixture of theirs.
func (t Training) crossEntropy(g *graph.Graph, logits *graph.Value) *graph.Value {
	of := func(labels string) *graph.Value {
		return loss.CrossEntropy(logits, inputOf(g, labels), float32(t.LabelSmoothing))
	}
	if !t.Mixed {
		return of(Labels)
	}
	second := of(MixedLabels)
	return graph.Add(second, graph.Mul(graph.Sub(of(Labels), second), inputOf(g, LabelShare)))
}

// moveRunning adds the running statistics after this step to a training graph, and their moving average if there is to be one.
func (t Training) moveRunning(g *graph.Graph, l *layers, running *graph.Value) {
	after := l.average(g, running)
	g.Output(next+Running, after, "The running statistics after this step.")
	if t.Average {
		averaged := g.Input(AveragedRunning, graph.Float32, running.Shape(), "Moving average of the running statistics.")
		g.Output(next+AveragedRunning, optimizer.Average(averaged, after, inputOf(g, AverageKeep)), "The moving average of the running statistics after this step.")
	}
}

// inputOf returns the input of a graph that has the name, or nil.
func inputOf(g *graph.Graph, name string) *graph.Value {
	for _, v := range g.Inputs() {
		if v.Name() == name {
			return v
		}
	}
	return nil
}

func inputImages(g *graph.Graph, batch int, m Macro) *graph.Value {
	return g.Input(Images, graph.Float32, []int{batch, m.Image[0], m.Image[1], m.Image[2]}, "Images, normalized per channel, in the order batch, channel, row, column.")
}

// objective adds labels, loss and hits to a graph that has logits, and returns the loss.
func objective(g *graph.Graph, logits *graph.Value, smoothing float64) *graph.Value {
	defer g.Scope("loss")()
	labels := g.Input(Labels, graph.Int64, []int{logits.Dim(0)}, "Class of each image, from 0.")
	l := loss.CrossEntropy(logits, labels, float32(smoothing))
	g.Output(Loss, l, "Mean cross-entropy of the batch.")
	g.Output(Correct, loss.Correct(logits, labels), "How many images of the batch are classified correctly.")
	return l
}
