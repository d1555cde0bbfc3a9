package table_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/table"
)

func TestKnownLayoutsTellWhatTheirColumnsMean(t *testing.T) {
	b := table.NASBench201()
	for _, c := range []struct{ file, column, says string }{
		{"accuracy_12ep.csv", "cifar100_valid", "top-1 accuracy in percent on the valid split of cifar100 after 12 epochs of training"},
		{"accuracy_12ep.csv", "imagenet16_test", "top-1 accuracy in percent on the test split of imagenet16-120 after 12 epochs of training"},
		{"accuracy_200ep_cifar100.csv", "cifar100_test_mean", "top-1 accuracy in percent on the test split of cifar100 after 200 epochs of training (mean over training seeds)"},
		{"accuracy-200epochs.parquet", "cifar10_test", "top-1 accuracy in percent on the test split of cifar10 after 200 epochs of training"},
		{"accuracy.csv", "cifar10_test", "top-1 accuracy in percent on the test split of cifar10"},
		{"cost.csv", "cifar10_params", "trainable parameters for cifar10"},
		{"cost.csv", "imagenet16_flops_naslib", "floating-point operations for imagenet16-120 (as counted by naslib)"},
		{"latency_ms.csv", "raspi4", "latency in ms (device raspi4)"},
		{"cost.csv", "n_conv3x3", "count (edges with the operation)"},
		{"cost.csv", "isomorph_index", "unknown quantity"},
		{"step_1ep2.csv", "anything", "unknown quantity"},
	} {
		if got := b.Describe(c.file, c.column).String(); got != c.says {
			t.Errorf("%s of %s: %s, want %s", c.column, c.file, got, c.says)
		}
	}
}

// What a column means is either told by a known layout or by the person who gives it, and never guessed.
func TestNoColumnIsAScoreBeforeItsMeaningIsKnown(t *testing.T) {
	whole := synthetic(t)
	var meaning *table.MeaningError
	if _, err := whole.WithMeaning("cifar100_valid", table.Meaning{Epochs: 200}); !errors.As(err, &meaning) || !strings.Contains(err.Error(), "epochs is 12, not 200") {
		t.Errorf("epochs that contradict the file's name: %v", err)
	}
	if _, err := whole.WithMeaning("cifar100_valid", table.Meaning{Split: "test"}); !errors.As(err, &meaning) || !strings.Contains(err.Error(), "split is valid, not test") {
		t.Errorf("a split that contradicts the column's name: %v", err)
	}
	var column *table.ColumnError
	if _, err := whole.WithMeaning("cifar100_vaild", table.Meaning{}); !errors.As(err, &column) {
		t.Errorf("no such column: %v", err)
	}

	tab := load(t, table.Options{Benchmark: tiny()}, write(t, "a.csv", joined()))
	if _, err := table.NewEvaluator(tab, "v"); !errors.As(err, &meaning) {
		t.Errorf("scoring by a column of unknown meaning: %v", err)
	}
	if _, err := tab.WithMeaning("v", table.Meaning{Split: "test"}); !errors.As(err, &meaning) || !strings.Contains(err.Error(), "quantity, dataset, epochs must be set") {
		t.Errorf("half a meaning: %v", err)
	}
	said, err := tab.WithMeaning("v", table.Meaning{Dataset: "mine", Split: "test", Epochs: 50})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := said.Describe("")
	if c.Name != "v" || c.Meaning.From != table.FromSettings || c.Meaning.String() != "top-1 accuracy on the test split of mine after 50 epochs of training" {
		t.Errorf("the score is %s: %s, from %s", c.Name, c.Meaning, c.Meaning.From)
	}
	if old, _ := tab.Describe("v"); tab.Score() != "" || old.Meaning != (table.Meaning{}) {
		t.Error("the table itself has changed")
	}
	if _, err := tab.WithMeaning("v", table.Meaning{Quantity: table.Latency}); err != nil {
		t.Errorf("a latency needs no epochs: %v", err)
	}
}
