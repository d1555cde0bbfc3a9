package export

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Probabilities is the name of the output [batch, classes] with the softmax of the logits.
const Probabilities = "probabilities"

// load reads a trained network and returns its inference form: normalized images in, logits out, normalization by
// running statistics in nodes of its own.
func load(networkPath, weightsPath string) (supernet.Network, *onnx.ModelProto, error) {
	n, err := supernet.ReadNetwork(networkPath)
	if err != nil {
		return n, nil, err
	}
	parameters, running, err := n.Indexes()
	if err != nil {
		return n, nil, err
	}
	weights, err := supernet.LoadWeights(weightsPath, parameters)
	if err != nil {
		return n, nil, err
	}
	statistics, err := supernet.LoadWeights(weightsPath, running)
	if err != nil {
		return n, nil, err
	}
	m, err := n.Inference(weights, statistics)
	return n, m, err
}

// outputs are what a built model gives.
type outputs int

const (
	logitsAlone outputs = iota
	probabilitiesAlone
	logitsAndProbabilities // the logits first, for programs that take the first output
)

// outputs are those that the settings ask for.
func (s Settings) outputs() outputs {
	if s.Softmax {
		return probabilitiesAlone
	}
	return logitsAndProbabilities
}

// build makes the model that is shipped from the inference form of a network, which it leaves as it is.
func build(reference *onnx.ModelProto, d *dataset.Dataset, s Settings, gives outputs) (*onnx.ModelProto, error) {
	m := proto.Clone(reference).(*onnx.ModelProto)
	if err := rewrite.Simplify(m); err != nil {
		return nil, err
	}
	channels := len(d.Mean)
	mean, std := make([]float32, channels), make([]float32, channels)
	scale, takes := float32(1), "pixel / 255"
	if s.Input == evaluate.InputPixels {
		scale, takes = 255, "pixel values from 0 to 255"
	}
	for c := range channels {
		mean[c], std[c] = d.Mean[c]*scale, d.Std[c]*scale
	}
	if s.Input == evaluate.InputNormalized {
		takes = "(pixel / 255 - mean) / std by channel, with the numbers under " + evaluate.KeyNormalization
	} else if err := rewrite.NormalizeInput(m, supernet.Images, mean, std); err != nil {
		return nil, err
	}
	m.Graph.Output[0].DocString = fmt.Sprintf("One score for each class, in the order under %s; their softmax are probabilities.", evaluate.KeyClasses)
	doc := fmt.Sprintf("One probability for each class, in the order under %s.", evaluate.KeyClasses)
	var err error
	switch gives {
	case probabilitiesAlone:
		err = rewrite.ReplaceBySoftmax(m, supernet.Logits, Probabilities, doc)
	case logitsAndProbabilities:
		err = rewrite.AddSoftmax(m, supernet.Logits, Probabilities, doc)
	}
	if err != nil {
		return nil, err
	}
	m.Graph.Input[0].DocString = fmt.Sprintf("Images [batch, %s, height, width]: %s.", channelNames(channels), takes)
	return m, nil
}

func channelNames(n int) string {
	switch n {
	case 1:
		return "gray"
	case 3:
		return "red-green-blue"
	}
	return fmt.Sprintf("%d channels", n)
}

// output is the name of the output that the model is measured by.
func (s Settings) output() string {
	if s.Softmax {
		return Probabilities
	}
	return supernet.Logits
}
