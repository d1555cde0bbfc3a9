package table

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/plateau-nas/plateau/stages/space"
)

// Benchmark is a public table: its space, how its files name architectures, and what their columns mean.
type Benchmark struct {
	Name  string
	Space *space.Space
	Arch  string // column that holds the architecture as the space writes it
	Index string // column that holds the public index, where there is one
	Where string // where the table is to be had, a sentence or two
	// Describe returns what a column of a file means, as far as the names of both tell it. File is a base name without
	// the ending .gz.
	Describe func(file, column string) Meaning
}

func (b Benchmark) describe(file, column string) Meaning {
	if b.Describe == nil {
		return Meaning{}
	}
	return b.Describe(file, column)
}

// Benchmarks returns the names that BenchmarkByName knows.
func Benchmarks() []string { return []string{"nasbench201"} }

// BenchmarkByName returns the benchmark of a name. The error for an unknown name lists the known ones.
func BenchmarkByName(name string) (Benchmark, error) {
	if name != "nasbench201" {
		return Benchmark{}, fmt.Errorf("unknown benchmark %q; known are %s", name, strings.Join(Benchmarks(), ", "))
	}
	return NASBench201(), nil
}

// NASBench201 returns the benchmark of Dong and Yang (ICLR 2020). Known layouts: accuracy files whose name holds the epochs
// ("accuracy_12ep.csv", "accuracy_200ep_cifar100.csv") with columns DATASET_SPLIT or DATASET_SPLIT_mean, the cost
// columns n_OPERATION, DATASET_params and DATASET_flops..., and latency files ("latency_ms.csv") with a column a device.
func NASBench201() Benchmark {
	return Benchmark{
		Name: "nasbench201", Space: space.NASBench201(), Arch: "arch", Index: "index",
		Where: "The results of NAS-Bench-201 are published at https://github.com/D-X-Y/NAS-Bench-201; any CSV or Parquet file will do that has a row for each architecture, " +
			"a column arch (|op~0|+|op~0|op~1|+|op~0|op~1|op~2|) and a column for each figure",
		Describe: describeNASBench201,
	}
}

var (
	epochsInName   = regexp.MustCompile(`(?:^|[_.-])(\d{1,4})ep(?:ochs?)?(?:[_.-]|$)`)
	accuracyColumn = regexp.MustCompile(`^(cifar10|cifar100|imagenet16)_(train|valid|test)(_mean)?$`)
	costColumn     = regexp.MustCompile(`^(cifar10|cifar100|imagenet16)_(params|flops)(_\w+)?$`)
	latencyFile    = regexp.MustCompile(`^latency_(ms|us|s)(?:[_.]|$)`)
)

func describeNASBench201(file, column string) Meaning {
	if m := accuracyColumn.FindStringSubmatch(column); m != nil {
		out := Meaning{Quantity: Accuracy, Unit: "percent", Dataset: nasbench201Dataset(m[1]), Split: m[2], From: FromLayout}
		if m[3] != "" {
			out.Note = "mean over training seeds"
		}
		if e := epochsInName.FindStringSubmatch(file); e != nil {
			out.Epochs, _ = strconv.Atoi(e[1]) // at most four digits
		}
		return out
	}
	if m := costColumn.FindStringSubmatch(column); m != nil {
		out := Meaning{Quantity: Parameters, Dataset: nasbench201Dataset(m[1]), Lower: true, From: FromLayout}
		if m[2] == "flops" {
			out.Quantity = FLOPs
			if m[3] != "" {
				out.Note = "as counted by " + strings.TrimPrefix(m[3], "_")
			}
		}
		return out
	}
	if m := latencyFile.FindStringSubmatch(file); m != nil {
		return Meaning{Quantity: Latency, Unit: m[1], Lower: true, Note: "device " + column, From: FromLayout}
	}
	if strings.HasPrefix(column, "n_") {
		return Meaning{Quantity: Count, Note: "edges with the operation", From: FromLayout}
	}
	return Meaning{}
}

// nasbench201Dataset gives the data set of a column's prefix its full name.
func nasbench201Dataset(prefix string) string {
	if prefix == "imagenet16" {
		return "imagenet16-120"
	}
	return prefix
}
