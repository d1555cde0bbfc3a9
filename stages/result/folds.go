package result

import "fmt"

// SplitFolds is what the metrics of a cross-validation have for a split: all images, each measured by the network that was not trained on it.
const SplitFolds = "cross-validation"

// Folds is the content of folds.json: a cross-validation.
type Folds struct {
	// Skipped says why there was none; then all else is empty.
	Skipped string   `json:"skipped,omitempty"`
	K       int      `json:"k,omitempty"`
	Parts   []Fold   `json:"parts,omitempty"`
	Metrics *Metrics `json:"metrics,omitempty"` // over all images
}

// Fold is one training of a cross-validation.
type Fold struct {
	Train int     `json:"train"` // images that were trained on
	Test  int     `json:"test"`  // images that were measured on
	Top1  float64 `json:"top1"`
	Loss  float64 `json:"loss"`
}

func (f *Folds) check() error {
	if f.Skipped != "" {
		return nil
	}
	if f.K < 2 || len(f.Parts) != f.K || f.Metrics == nil {
		return fmt.Errorf("%d parts of %d, or no metrics", len(f.Parts), f.K)
	}
	return f.Metrics.check()
}

// ReadFolds reads a folds.json.
func ReadFolds(path string) (*Folds, error) {
	var f Folds
	if err := readJSON(path, "cross-validation", &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// WriteFolds writes a folds.json.
func WriteFolds(path string, f *Folds) error { return writeJSON(path, "cross-validation", f) }

// Curve is the content of curve.json: a learning curve, the accuracy by how many images were trained on.
type Curve struct {
	Steps  int          `json:"steps"` // of each training, about
	Count  int          `json:"count"` // images that all were measured on
	Points []CurvePoint `json:"points"`
	// Gain is what twice as many training images would add to the accuracy, by a power law of the error through the points, with its 95%
	// interval; Sentence says it in words.
	Gain     float64 `json:"gain"`
	GainLow  float64 `json:"gain_low"`
	GainHigh float64 `json:"gain_high"`
	Exponent float64 `json:"exponent"` // of the power law: error ~ images^exponent
	Sentence string  `json:"sentence"`
}

// CurvePoint is one training of a learning curve.
type CurvePoint struct {
	Images int     `json:"images"`
	Epochs int     `json:"epochs"`
	Top1   float64 `json:"top1"`
	Low    float64 `json:"low"` // 95% interval
	High   float64 `json:"high"`
	Loss   float64 `json:"loss"`
}

func (c *Curve) check() error {
	if len(c.Points) < 2 || c.Count < 1 || c.Sentence == "" {
		return fmt.Errorf("%d points, %d images and the sentence %q make no learning curve", len(c.Points), c.Count, c.Sentence)
	}
	return nil
}

// ReadCurve reads a curve.json.
func ReadCurve(path string) (*Curve, error) {
	var c Curve
	if err := readJSON(path, "learning curve", &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// WriteCurve writes a curve.json.
func WriteCurve(path string, c *Curve) error { return writeJSON(path, "learning curve", c) }
