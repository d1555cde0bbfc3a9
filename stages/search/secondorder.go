package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// unrolled is the second order of DARTS (Liu, Simonyan and Yang, ICLR 2019, section 2.3; quark0/darts, cnn/architect.py): the
// validation loss is taken at weights that have made one step on a training batch, and alpha is moved with an eye to what it
// does to that step.
type unrolled struct {
	training supernet.Training
	virtual  *runtime.State // the weights that the graphs below look at
	momentum *runtime.State // of the weights' optimizer
	ofTrain  *gradientStep  // of the training loss
	ofValid  *gradientStep  // of the validation loss, which has no label smoothing
	light    *gradientStep  // of the training loss, by the probabilities alone
}

// virtualStep is the distance that gradients by alpha are apart for a product with the second derivatives, in units of the
// length of the vector. It is the paper's: on small networks, where a single ReLU that changes its mind shows, the difference
// is far from the derivative, and with a much smaller step it would drown in the rounding of float32.
const virtualStep = 0.01

// newUnrolled makes the graphs that the second order needs beside those of the supernet stage.
func (r *run) newUnrolled() (*unrolled, error) {
	model, err := os.ReadFile(r.path("train_step"))
	if err != nil {
		return nil, fmt.Errorf("loading train_step: %w", err)
	}
	u := &unrolled{}
	if u.training, err = supernet.TrainingOf(model); err != nil {
		return nil, fmt.Errorf("the second order makes the training step's update: %w", err)
	}
	sn, err := supernet.New(r.space, r.macro)
	if err != nil {
		return nil, err
	}
	if sn.Recompute = u.training.Recompute; !sn.Index.Equal(r.index) {
		return nil, errors.New("parameters and path are of different supernets; take both from one")
	}
	if u.virtual, err = r.rt.NewState(r.index.Total()); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, u.virtual.Close)
	states := map[string]*runtime.State{supernet.Params: u.virtual}
	load := func(smoothing float64) (*gradientStep, error) {
		m, err := sn.GradientStep(u.training.Batch, smoothing)
		if err != nil {
			return nil, err
		}
		data, err := onnx.Encode(m)
		if err != nil {
			return nil, err
		}
		step, err := r.rt.NewStep(data, runtime.StepOptions{SessionOptions: runtime.SessionOptions{Name: "gradient_step"}, States: states})
		if err != nil {
			return nil, err
		}
		r.closers = append(r.closers, step.Close)
		return newGradientStep(step, true)
	}
	if u.ofValid, err = load(0); err != nil {
		return nil, err
	}
	if u.training.LabelSmoothing != 0 {
		u.ofTrain, err = load(u.training.LabelSmoothing)
		u.light = u.ofTrain
		return u, err
	}
	u.ofTrain = u.ofValid
	step, err := r.step("architecture_step", states)
	if err != nil {
		return nil, err
	}
	u.light, err = newGradientStep(step, false)
	return u, err
}

// gradientStep is a graph that gives gradients, with its buffers.
type gradientStep struct {
	step                                                         *runtime.Step
	images, probabilities, loss, correct, byProbability, byParam []float32
	labels                                                       []int64
}

func newGradientStep(step *runtime.Step, params bool) (*gradientStep, error) {
	b := buffers{step: step}
	g := &gradientStep{
		step: step, images: b.float32(supernet.Images), labels: b.int64(supernet.Labels), probabilities: b.float32(supernet.Probabilities),
		loss: b.float32(supernet.Loss), correct: b.float32(supernet.Correct), byProbability: b.float32(supernet.Gradient),
	}
	if params {
		g.byParam = b.float32(supernet.ParamsGradient)
	}
	return g, b.err
}

// at evaluates the loss of a batch at the virtual weights and the given weights of the operations.
func (g *gradientStep) at(ctx context.Context, b *dataset.Batch, weights space.Probabilities) (loss, correct float64, byWeights [][]float64, err error) {
	copy(g.images, b.X)
	copy(g.labels, b.Y)
	fillProbabilities(g.probabilities, weights)
	if err := g.step.Run(ctx); err != nil {
		return 0, 0, nil, fmt.Errorf("differentiating by the architecture: %w", err)
	}
	loss = float64(g.loss[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, nil, fmt.Errorf("differentiating by the architecture: the loss became %v; lower weights.learning_rate", loss)
	}
	return loss, float64(g.correct[0]), unflatten(g.byProbability, len(weights[0])), nil
}

// evaluate returns the aggregated validation loss at the weights after the virtual step
//
//	w' = w - rate (mu m + dL_train(w) + decay w)
//
// and its derivative by theta, of which the part that goes through w' is -rate times the product of the mixed second derivatives
// of L_train with v = dL_valid/dw', as the central difference of dL_train/dtheta at w + h v and w - h v, h = 0.01 / |v|.
// The training loss is the center's, where the weights are trained; neighbors are those of the validation loss.
func (u *unrolled) evaluate(ctx context.Context, a *alpha, b batches, p *point, s surroundings) (*evaluated, error) {
	n := a.run.index.Total()
	w, m, at := make([]float32, n), make([]float32, n), make([]float32, n)
	a.run.weights.Read(w)
	u.momentum.Read(m)
	if err := u.virtual.Write(w); err != nil {
		return nil, err
	}
	a.passes += 3 + len(s.neighbors) // also on weights, and on training batches
	if _, _, _, err := u.ofTrain.at(ctx, b.train, p.weights()); err != nil {
		return nil, err
	}
	for i := range at {
		direction := u.training.Momentum*float64(m[i]) + float64(u.ofTrain.byParam[i]) + u.training.WeightDecay*float64(w[i])
		at[i] = float32(float64(w[i]) - b.rate*direction)
	}
	if err := u.virtual.Write(at); err != nil {
		return nil, err
	}
	var byParam [][]float32 // of each neighbor's loss, since their shares are known only when all losses are
	out, err := a.aggregate(p, s, func(weights space.Probabilities) (float64, float64, [][]float64, error) {
		loss, correct, g, err := u.ofValid.at(ctx, b.valid, weights)
		byParam = append(byParam, append([]float32(nil), u.ofValid.byParam...))
		return loss, correct, g, err
	})
	if err != nil {
		return nil, err
	}
	v := make([]float64, n)
	for i, g := range byParam {
		for j, x := range g {
			v[j] += out.shares[i] * float64(x)
		}
	}
	if length(v) == 0 {
		return out, nil
	}
	h := virtualStep / length(v)
	along, err := alongHessian(make([]float64, n), v, h, func(offset []float64) (*evaluated, error) {
		for i := range at {
			at[i] = float32(float64(w[i]) + offset[i])
		}
		if err := u.virtual.Write(at); err != nil {
			return nil, err
		}
		_, _, g, err := u.light.at(ctx, b.train, p.weights())
		if err != nil {
			return nil, err
		}
		return &evaluated{gradient: p.back(g)}, nil
	})
	if err != nil {
		return nil, err
	}
	out.gradient = moved(out.gradient, -b.rate, along)
	return out, nil
}
