package export

import (
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Keys of the metadata of exported models, besides those that evaluate defines.
const (
	KeySpace        = "plateau.space"         // the search space: its name, or the declaration of one's own (space.Space.Reference)
	KeyArchitecture = "plateau.architecture"  // the architecture, as the space writes it
	KeyMacro        = "plateau.macro"         // the skeleton around the cells, a JSON object (supernet.Macro)
	KeyMultiplyAdds = "plateau.multiply_adds" // for one image
	KeyDataset      = "plateau.dataset"       // JSON object: name, source and the number of images in train, valid and test
	KeyScores       = "plateau.scores"        // JSON object: algorithm, own_score and neighborhood_score, as far as known
	KeyPrecision    = "plateau.precision"     // a Precision; absent for float32
	KeyMetrics      = "plateau.metrics"       // JSON object: test_top1 and test_loss of this model, and how training ended
)

// about is what the metadata of a model say.
type about struct {
	network      supernet.Network
	data         *dataset.Dataset
	settings     Settings
	cost         rewrite.Cost // of the unfolded network
	architecture *result.Architecture
	history      []result.TrainEpoch
	test         *result.Metrics
	precision    Precision // empty for float32
}

// number is written with six significant digits, so that the last bits of a sum do not change the file.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// metadata returns the properties by key.
func (a about) metadata() (map[string]string, error) {
	output := evaluate.ScoresLogits
	if a.settings.Softmax {
		output = evaluate.ScoresProbabilities
	}
	out := map[string]string{
		KeySpace:               a.network.Space,
		KeyArchitecture:        a.network.Architecture,
		KeyMultiplyAdds:        strconv.FormatInt(a.cost.MultiplyAdds, 10),
		evaluate.KeyParameters: strconv.FormatInt(a.cost.Parameters, 10),
		evaluate.KeyInput:      string(a.settings.Input),
		evaluate.KeyOutput:     string(output),
	}
	if a.precision != "" {
		out[KeyPrecision] = string(a.precision)
	}
	count := func(im *dataset.Images) int {
		if im == nil {
			return 0
		}
		return im.Count
	}
	type object = map[string]any // encoded in the order of its keys
	scores := object{}
	if a.architecture != nil {
		scores["algorithm"] = a.architecture.Algorithm
		if v := a.architecture.OwnScore; v != nil {
			scores["own_score"] = number(*v)
		}
		if v := a.architecture.NeighborhoodScore; v != nil {
			scores["neighborhood_score"] = number(*v)
		}
	}
	metrics := object{"test_top1": number(a.test.Top1), "test_loss": number(a.test.Loss), "test_images": a.test.Count}
	if n := len(a.history); n > 0 {
		last := a.history[n-1]
		metrics["epochs"], metrics["train_loss"], metrics["train_accuracy"] = last.Epoch, number(last.TrainLoss), number(last.TrainAccuracy)
	}
	for key, v := range map[string]any{
		KeyMacro:                  a.network.Macro,
		KeyScores:                 scores,
		KeyMetrics:                metrics,
		KeyDataset:                object{"name": a.data.Name, "source": a.data.Source, "train": count(a.data.Train), "valid": count(a.data.Valid), "test": count(a.data.Test)},
		evaluate.KeyClasses:       a.data.Classes,
		evaluate.KeyNormalization: object{"mean": a.data.Mean, "std": a.data.Std},
		evaluate.KeyView:          a.view(),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("metadata %s: %w", key, err)
		}
		out[key] = string(text)
	}
	return out, nil
}

// view is what the test images showed of pictures.
func (a about) view() dataset.View {
	if v := a.data.View; v != nil {
		return *v
	}
	return dataset.DefaultView(0)
}

// stamp writes the metadata into the model, in the place of those of the graph that it was made from.
func (a about) stamp(m *onnx.ModelProto) error {
	props, err := a.metadata()
	if err != nil {
		return err
	}
	m.MetadataProps = nil
	onnx.SetMetadata(m, props)
	m.ProducerName, m.ProducerVersion = "plateau", release()
	s, err := space.ByName(a.network.Space)
	if err != nil {
		return err
	}
	i := evaluate.Interval(a.test)
	m.DocString = fmt.Sprintf("Classifier of %s images: %s of the space %s, top-1 accuracy %.2f%% on %d test images (95%% interval %.1f to %.1f).",
		a.data.Name, a.network.Architecture, s.Name, 100*a.test.Top1, a.test.Count, 100*i.Low, 100*i.High)
	m.Graph.DocString = ""
	return nil
}

var released = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// release is the version of a released plateau. Other builds are not told apart: the same document and seed give the same
// bytes whichever way the program was built.
func release() string {
	if info, ok := debug.ReadBuildInfo(); ok && released.MatchString(info.Main.Version) {
		return info.Main.Version
	}
	return "development"
}
