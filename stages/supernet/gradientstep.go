package supernet

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
)

// ParamsGradient is the output of GradientStep for the weights: float32 [parameters].
const ParamsGradient = "grad_params"

// trainingKey is the metadata in which training steps keep their Training.
const trainingKey = "plateau.training"

// GradientStep returns the loss of the relaxed supernet and its gradients by the probabilities and by all shared weights:
// what second-order search asks for. smoothing is the label smoothing of the loss, as in Training.
func (sn *Supernet) GradientStep(batch int, smoothing float64) (*onnx.ModelProto, error) {
	g, flat, _, chosen, logits := sn.start("gradient_step", batch, relaxed)
	l := objective(g, logits, smoothing)
	wrt := append(append([]*graph.Value{}, flat.Values()...), chosen)
	grads, err := autodiff.Gradients([]*graph.Value{l}, []*graph.Value{nil}, wrt, append(saving(sn.Recompute), gradientsWithout(sn.Without))...)
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: gradient_step: %w", sn.Space.Name, err)
	}
	g.Output(ParamsGradient, sn.Index.Pack(grads[:sn.Index.Len()]), "Gradient of the loss by the weights.")
	g.Output(Gradient, grads[sn.Index.Len()], "Gradient of the loss by the probabilities.")
	return sn.finish(g, "Loss and its gradients by the edge probabilities and by the weights.")
}

// TrainingOf returns the settings of a training step that a Supernet has made.
func TrainingOf(model []byte) (Training, error) {
	m, err := onnx.Decode(model)
	if err != nil {
		return Training{}, err
	}
	var t Training
	if err := json.Unmarshal([]byte(onnx.Metadata(m)[trainingKey]), &t); err != nil {
		return Training{}, errors.New("the model does not say how it trains; it is no training step that a supernet stage of this version wrote")
	}
	return t, nil
}
