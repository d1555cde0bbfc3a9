// Package loss builds the losses and counts that training and evaluation of classifiers need.
package loss

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// CrossEntropy returns the cross entropy of logits [N, K] and int64 labels [N], averaged over the batch; the result
// has shape [1]. With smoothing s (0 up to but not including 1) the target distribution is 1-s on the label plus s/K on
// every class, as in PyTorch's CrossEntropyLoss. Labels must lie within 0..K-1: others count as no class at all.
func CrossEntropy(logits, labels *graph.Value, smoothing float32) *graph.Value {
	g := logits.Graph()
	defer g.Scope("cross_entropy")()
	check(g, "CrossEntropy", logits, labels)
	if smoothing < 0 || smoothing >= 1 {
		g.Fail("CrossEntropy", fmt.Errorf("label smoothing is %v; it lies within [0, 1)", smoothing))
	}
	classes := logits.Dim(1)
	target := graph.OneHot(labels, classes)
	if smoothing > 0 {
		target = graph.Add(graph.Mul(target, g.Scalar(1-smoothing)), g.Scalar(smoothing/float32(classes)))
	}
	each := graph.ReduceSum(graph.Mul(graph.LogSoftmax(logits, 1), target), false, 1)
	return graph.Neg(graph.ReduceMean(each, true, 0))
}

// Correct returns the number of rows of logits [N, K] whose largest element is at the int64 label [N], as float32 of
// shape [1]. Among equal elements the first counts as the largest.
func Correct(logits, labels *graph.Value) *graph.Value {
	g := logits.Graph()
	defer g.Scope("correct")()
	check(g, "Correct", logits, labels)
	hit := graph.Equal(graph.ArgMax(logits, 1), labels)
	return graph.ReduceSum(graph.Cast(hit, graph.Float32), true, 0)
}

func check(g *graph.Graph, op string, logits, labels *graph.Value) {
	if logits.Rank() != 2 || labels.Rank() != 1 || labels.DType() != graph.Int64 || logits.Dim(0) != labels.Dim(0) {
		g.Fail(op, fmt.Errorf("wants logits [N, K] and int64 labels [N], has %v and %v%v", logits.Shape(), labels.DType(), labels.Shape()))
	}
}
