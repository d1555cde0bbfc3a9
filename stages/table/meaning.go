package table

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
)

// The quantities that a column can hold.
const (
	Accuracy   = "accuracy"   // top-1 accuracy
	Loss       = "loss"       // mean cross-entropy in nats
	Latency    = "latency"    // time for one batch or image
	Parameters = "parameters" // trainable numbers
	FLOPs      = "flops"      // floating-point operations or multiply-adds, as the file counts them
	Count      = "count"      // how many of something
	Other      = "other"
)

// Quantities returns the names of all quantities.
func Quantities() []string {
	return []string{Accuracy, Loss, Latency, Parameters, FLOPs, Count, Other}
}

// The origins of a meaning.
const (
	FromLayout   = "layout"   // the names of file and column, which the benchmark knows
	FromSettings = "settings" // the person who gave the file
)

// Meaning says what the numbers of a column are. The zero value is a column of which nothing is known.
type Meaning struct {
	Quantity string `json:"quantity,omitempty"` // one of Quantities, "" when unknown
	Unit     string `json:"unit,omitempty"`     // "percent", "share" (0 to 1), "ms", ...
	Dataset  string `json:"dataset,omitempty"`  // "cifar100"; "" for what depends on none
	Split    string `json:"split,omitempty"`    // "valid", "test" or "train": what a trained network was measured on
	Epochs   int    `json:"epochs,omitempty"`   // of training before the measurement; 0 for what needs no training
	Lower    bool   `json:"lower_is_better,omitempty"`
	Note     string `json:"note,omitempty"` // what else must be known, a sentence
	From     string `json:"from,omitempty"` // FromLayout or FromSettings, "" when unknown
}

// Trained reports whether the quantity is one of trained networks, so that it means nothing without a data set, a split and
// a number of epochs.
func (m Meaning) Trained() bool { return m.Quantity == Accuracy || m.Quantity == Loss }

// Unknown lists what is not known of the column but must be before it can serve as a score: names of Meaning's
// fields as in its JSON form. Nil when it can.
func (m Meaning) Unknown() []string {
	var out []string
	if m.Quantity == "" {
		out = append(out, "quantity")
	}
	if m.Trained() || m.Quantity == "" {
		if m.Dataset == "" {
			out = append(out, "dataset")
		}
		if m.Split == "" {
			out = append(out, "split")
		}
		if m.Epochs <= 0 {
			out = append(out, "epochs")
		}
	}
	return out
}

// Conflict compares what two sources say of a column, and says where they contradict each other; "" where they do not. What one
// of them leaves open is no contradiction.
func (m Meaning) Conflict(o Meaning) string {
	for _, f := range []struct{ name, a, b string }{
		{"quantity", m.Quantity, o.Quantity}, {"dataset", m.Dataset, o.Dataset}, {"split", m.Split, o.Split}, {"unit", m.Unit, o.Unit},
	} {
		if f.a != "" && f.b != "" && f.a != f.b {
			return fmt.Sprintf("%s is %s, not %s", f.name, f.a, f.b)
		}
	}
	if m.Epochs > 0 && o.Epochs > 0 && m.Epochs != o.Epochs {
		return fmt.Sprintf("epochs is %d, not %d", m.Epochs, o.Epochs)
	}
	return ""
}

// merge fills what m leaves open from o.
func (m Meaning) merge(o Meaning) Meaning {
	for _, f := range []struct{ to, from *string }{
		{&m.Quantity, &o.Quantity}, {&m.Unit, &o.Unit}, {&m.Dataset, &o.Dataset}, {&m.Split, &o.Split}, {&m.Note, &o.Note}, {&m.From, &o.From},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if m.Epochs == 0 {
		m.Epochs = o.Epochs
	}
	m.Lower = m.Lower || o.Lower
	return m
}

// settle makes one meaning of what the layout tells and what is given.
func settle(file, column string, known, given Meaning) (Meaning, error) {
	if conflict := known.Conflict(given); conflict != "" {
		return Meaning{}, &MeaningError{File: file, Column: column, Conflict: conflict}
	}
	m := known.merge(given)
	if m.Quantity == "" && m.Epochs > 0 {
		m.Quantity = Accuracy // of what needs training it is what tables hold
	}
	if m.Quantity == Loss || m.Quantity == Latency || m.Quantity == Parameters || m.Quantity == FLOPs {
		m.Lower = true
	}
	if given != (Meaning{}) && m.From == "" {
		m.From = FromSettings
	}
	if unknown := m.Unknown(); unknown != nil {
		return Meaning{}, &MeaningError{File: file, Column: column, Unknown: unknown}
	}
	return m, nil
}

// String says the meaning in words: "top-1 accuracy in percent on the valid split of cifar100 after 12 epochs of training".
func (m Meaning) String() string {
	name := map[string]string{Accuracy: "top-1 accuracy", Parameters: "trainable parameters", FLOPs: "floating-point operations", "": "unknown quantity"}[m.Quantity]
	if name == "" {
		name = m.Quantity
	}
	var b strings.Builder
	b.WriteString(name)
	if m.Unit != "" {
		b.WriteString(" in " + m.Unit)
	}
	switch {
	case m.Split != "" && m.Dataset != "":
		fmt.Fprintf(&b, " on the %s split of %s", m.Split, m.Dataset)
	case m.Dataset != "":
		b.WriteString(" for " + m.Dataset)
	case m.Split != "":
		fmt.Fprintf(&b, " on the %s split", m.Split)
	}
	if m.Epochs > 0 {
		b.WriteString(" after " + words.Count(m.Epochs, "epoch") + " of training")
	}
	if m.Note != "" {
		b.WriteString(" (" + m.Note + ")")
	}
	return b.String()
}
