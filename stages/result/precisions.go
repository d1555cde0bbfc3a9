package result

import (
	"errors"
	"fmt"
)

// Precisions is the content of precisions.json: a model in float32 and the same in fewer bits, measured side by side. Times differ from
// run to run.
type Precisions struct {
	Images      int         `json:"test_images"`
	Calibration int         `json:"calibration_images,omitempty"` // training images that the ranges of int8 are from; 0 without int8
	Batch       int         `json:"batch"`                        // images of the larger batch that was timed
	Provider    string      `json:"provider"`
	Threads     int         `json:"threads"`
	Library     string      `json:"library"`
	Models      []Precision `json:"models"` // float32 first
}

// Precision is one form of a model.
type Precision struct {
	Name      string     `json:"precision"` // "float32", "int8" or "float16"
	File      string     `json:"file"`
	SizeBytes int64      `json:"size_bytes"`
	Top1      float64    `json:"top1"`     // share of the test images, 0 to 1
	Interval  [2]float64 `json:"interval"` // 95% interval of that (Wilson)
	Loss      float64    `json:"loss"`     // mean cross-entropy in nats
	// Changed are the test images that it takes for another class than float32 does; of those and others, Gained are the ones
	// that it alone has right, Lost those that float32 alone has right, and P is McNemar's exact test of the two.
	Changed int     `json:"changed"`
	Gained  int     `json:"gained"`
	Lost    int     `json:"lost"`
	P       float64 `json:"p"`
	// LatencyMS is the median time of a run with one image, BatchLatencyMS that of an image in a run with the larger batch.
	LatencyMS      float64 `json:"latency_ms"`
	BatchLatencyMS float64 `json:"batch_latency_ms"`
	// Products are the convolutions and products with matrices in the file. InInt8 of them the runtime ran in whole numbers; nil where
	// that is not the question or not known.
	Products int  `json:"products,omitempty"`
	InInt8   *int `json:"in_int8,omitempty"`
}

// Of returns the form with the name, or nil.
func (p *Precisions) Of(name string) *Precision {
	for i := range p.Models {
		if p.Models[i].Name == name {
			return &p.Models[i]
		}
	}
	return nil
}

func (p *Precisions) check() error {
	if p.Images <= 0 || len(p.Models) == 0 {
		return errors.New("test_images and models must say what was measured")
	}
	for i, m := range p.Models {
		if m.Name == "" || m.File == "" {
			return fmt.Errorf("model %d has no precision or no file", i)
		}
		if !(m.Top1 >= 0 && m.Top1 <= 1) || m.Changed < 0 || m.Changed > p.Images {
			return fmt.Errorf("%s: top1 %v must be a share, and changed %d at most the %d images", m.Name, m.Top1, m.Changed, p.Images)
		}
	}
	return nil
}

// ReadPrecisions reads a precisions.json.
func ReadPrecisions(path string) (*Precisions, error) {
	var p Precisions
	if err := readJSON(path, "precisions", &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// WritePrecisions writes a precisions.json.
func WritePrecisions(path string, p *Precisions) error { return writeJSON(path, "precisions", p) }
