package result

import (
	"fmt"
	"math"
	"math/bits"
)

// Metrics is the content of metrics.json: what a model does on a split of a data set.
type Metrics struct {
	Model        string      `json:"model"`                 // name of the model in its file
	Dataset      string      `json:"dataset"`               // name of the data set
	Split        string      `json:"split"`                 // "test", "valid" or "train"
	Count        int         `json:"count"`                 // images
	Top1         float64     `json:"top1"`                  // share of images, 0 to 1
	Top5         float64     `json:"top5"`                  // share of images, 0 to 1
	Loss         float64     `json:"loss"`                  // mean cross-entropy in nats
	Scores       string      `json:"scores,omitempty"`      // what the loss takes the model's scores for: "logits" or "probabilities"
	ScoresFrom   string      `json:"scores_from,omitempty"` // why: "settings", "metadata" of the model, or the "numbers" that it gave
	Parameters   int64       `json:"parameters"`            // trainable numbers
	MultiplyAdds int64       `json:"multiply_adds"`         // for one image
	SizeBytes    int64       `json:"size_bytes"`            // of the file
	Latency      *Latency    `json:"latency_ms"`            // of one image; nil when not measured. Differs from run to run.
	Throughput   *Throughput `json:"throughput,omitempty"`
	PerClass     []ClassTop1 `json:"per_class"` // in the order of the data set's classes
	Confusion    [][]int     `json:"confusion"` // true class x predicted class; nil when not kept
	// Right tells which images are classified right, in their order, so that two models can be compared image by image: image i is
	// bit i%8 of byte i/8, the lowest bit first. Nil when not kept.
	Right []byte `json:"right,omitempty"`
	// Balanced has what the accuracy is worth where classes are unequal; nil where that was not counted.
	Balanced *Balanced `json:"balanced,omitempty"`
	// Mistakes are the images that are classified wrong, those first of which the model is surest, up to MostMistakes.
	Mistakes []Mistake `json:"mistakes,omitempty"`
	Provider string    `json:"provider,omitempty"` // execution provider: "cpu"
	Threads  int       `json:"threads,omitempty"`
	Library  string    `json:"library,omitempty"` // version of the runtime
}

// MostMistakes is how many mistakes are kept.
const MostMistakes = 100

// Balanced says what an accuracy is worth where classes are unequal.
type Balanced struct {
	Top1     float64 `json:"top1"` // mean of the accuracies of the classes, 0 to 1: all count the same, however many images they have
	Low      float64 `json:"low"`  // 95% confidence interval
	High     float64 `json:"high"`
	Largest  string  `json:"largest"`  // the class with most images
	Share    float64 `json:"share"`    // what always saying that class is right for, 0 to 1
	Smallest int     `json:"smallest"` // images of the smallest class that has any
	Most     int     `json:"most"`     // images of the largest class
}

// unequal is by what the largest class is larger than the smallest for an accuracy to need its balanced one beside it.
const unequal = 1.5

// Unequal tells whether classes differ so much in number that the accuracy needs the balanced one beside it.
func (b *Balanced) Unequal() bool {
	return b != nil && float64(b.Most) >= unequal*float64(b.Smallest)
}

// Mistake is an image that is classified wrong.
type Mistake struct {
	Image     int    `json:"image"`          // its index in the split
	File      string `json:"file,omitempty"` // path of its file below the data set's folder, where images are files
	True      string `json:"true"`
	Predicted string `json:"predicted"` // "" for a class that the data set does not have
	// Probability is what the model gives the predicted class, OfTrue the true one, from 0 to 1.
	Probability float64 `json:"probability"`
	OfTrue      float64 `json:"of_true"`
}

// Latency is how long a model takes for one image, in milliseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90,omitempty"`
	P95  float64 `json:"p95,omitempty"`
	P99  float64 `json:"p99,omitempty"`
}

// Throughput is how many images a model takes in a second when they come in batches. It differs from run to run.
type Throughput struct {
	Batch           int     `json:"batch"`
	ImagesPerSecond float64 `json:"images_per_second"`
}

// ClassTop1 is the accuracy on the images of one class.
type ClassTop1 struct {
	Class string  `json:"class"`
	Count int     `json:"count"`
	Top1  float64 `json:"top1"` // 0 to 1
}

func (m *Metrics) check() error {
	if m.Dataset == "" || m.Split == "" || m.Count <= 0 {
		return fmt.Errorf("dataset %q, split %q and count %d must say what was measured on", m.Dataset, m.Split, m.Count)
	}
	if !(m.Top1 >= 0 && m.Top1 <= 1) || !(m.Top5 >= 0 && m.Top5 <= 1) {
		return fmt.Errorf("top1 %v and top5 %v must be shares between 0 and 1", m.Top1, m.Top5)
	}
	if m.Right != nil {
		right := 0
		for _, b := range m.Right {
			right += bits.OnesCount8(b)
		}
		if want := int(math.Round(m.Top1 * float64(m.Count))); len(m.Right) != (m.Count+7)/8 || right != want {
			return fmt.Errorf("right has %d images in %d bytes; the top-1 accuracy of %d images is %d", right, len(m.Right), m.Count, want)
		}
	}
	if m.Confusion == nil {
		return nil
	}
	if len(m.Confusion) != len(m.PerClass) {
		return fmt.Errorf("confusion has %d rows for %d classes", len(m.Confusion), len(m.PerClass))
	}
	for i, row := range m.Confusion {
		if len(row) != len(m.PerClass) {
			return fmt.Errorf("confusion: row %d has %d columns for %d classes", i, len(row), len(m.PerClass))
		}
	}
	return nil
}

// ReadMetrics reads a metrics.json.
func ReadMetrics(path string) (*Metrics, error) {
	var m Metrics
	if err := readJSON(path, "metrics", &m); err != nil {
		return nil, err
	}
	return &m, nil
}

// WriteMetrics writes a metrics.json.
func WriteMetrics(path string, m *Metrics) error { return writeJSON(path, "metrics", m) }
