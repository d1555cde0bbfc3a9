package report

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
)

// Content is what a page is made of. Only Architecture is needed.
type Content struct {
	Title        string // heading; "" names the data set
	Images       int    // sample images of each class
	Mistakes     int    // images shown that are classified wrong
	Architecture *result.Architecture
	Dataset      *dataset.Dataset
	Search       []result.SearchEpoch
	Ranking      *result.Ranking
	Train        []result.TrainEpoch
	Metrics      *result.Metrics
	Checks       *result.Checks
	Folds        *result.Folds // a cross-validation
	Curve        *result.Curve // a learning curve
	Model        *Model
	Sources      []Source
	// Found is the network of Metrics beside the Baselines that it has to be better than; nil where there are none.
	Found     *Trial
	Baselines []Trial
}

// Model is what the page says about an exported file.
type Model struct {
	Bytes     int64
	Opset     int64
	Producer  string         // name and version
	Inputs    []string       // "images float32[batch,3,32,32]"
	Outputs   []string       // likewise
	Operators map[string]int // nodes of the graph by operator
	Metadata  map[string]string
}

// Source is an artifact that the page was made from.
type Source struct {
	Port, Stage, Kind string
	Digest            string // "sha256:" and 64 hex digits
}

func load(job *pipeline.Job, seconds bool) (Content, error) {
	var c Content
	for port, artifact := range job.Inputs() {
		if port == "baselines" {
			continue
		}
		c.Sources = append(c.Sources, Source{Port: port, Stage: artifact.Stage, Kind: artifact.Kind, Digest: artifact.Digest})
		if err := c.read(port, artifact.Path); err != nil {
			return Content{}, err
		}
	}
	if err := c.readBaselines(job, seconds); err != nil {
		return Content{}, err
	}
	slices.SortStableFunc(c.Sources, func(a, b Source) int { return strings.Compare(a.Port, b.Port) })
	return c, nil
}

func (c *Content) read(port, path string) (err error) {
	switch port {
	case "architecture":
		c.Architecture, err = result.ReadArchitecture(path)
	case "dataset":
		c.Dataset, err = dataset.Load(path)
	case "ranking":
		c.Ranking, err = result.ReadRanking(path)
	case "metrics":
		c.Metrics, err = result.ReadMetrics(path)
	case "folds":
		c.Folds, err = result.ReadFolds(path)
	case "curve":
		c.Curve, err = result.ReadCurve(path)
	case "checks":
		c.Checks, err = result.ReadChecks(path)
	case "model":
		c.Model, err = readModel(path)
	case "search_history", "train_history":
		// A document with one history only has it implied on both ports, so the file itself says what it is.
		var search bool
		if search, err = result.IsSearchHistory(path); err != nil {
			return err
		}
		if search {
			c.Search, err = result.ReadSearchHistory(path)
		} else {
			c.Train, err = result.ReadTrainHistory(path)
		}
	}
	return err
}

func readModel(path string) (*Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	// Tensors in a file of their own are not needed to describe the graph.
	m, err := onnx.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("reading the model %s: %w", path, err)
	}
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return nil, fmt.Errorf("reading the model %s: %w", path, err)
	}
	out := &Model{
		Bytes: int64(len(data)), Opset: opset, Producer: strings.TrimSpace(m.GetProducerName() + " " + m.GetProducerVersion()),
		Operators: map[string]int{}, Metadata: onnx.Metadata(m),
	}
	for _, v := range m.GetGraph().GetInput() {
		out.Inputs = append(out.Inputs, describeValue(v))
	}
	for _, v := range m.GetGraph().GetOutput() {
		out.Outputs = append(out.Outputs, describeValue(v))
	}
	for _, n := range m.GetGraph().GetNode() {
		out.Operators[n.GetOpType()]++
	}
	return out, nil
}

func describeValue(v *onnx.ValueInfoProto) string {
	kind := onnx.TensorProto_DataType(v.GetType().GetTensorType().GetElemType()).String()
	var dims []string
	for _, d := range v.Shape() {
		if d < 0 {
			dims = append(dims, "batch")
		} else {
			dims = append(dims, fmt.Sprint(d))
		}
	}
	return fmt.Sprintf("%s: %s [%s]", v.GetName(), strings.ToLower(kind), strings.Join(dims, ", "))
}
