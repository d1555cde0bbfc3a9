// Package rewrite changes finished ONNX models without changing what they compute, and measures them.
//
// Its nouns: a pass is a function that edits a model in place and says how much it did (FoldBatchNorm,
// LowerBatchNorm, ScaleByConv, WriteOutStatistics, RemoveIdentity, RemoveUnused); NormalizeInput, ReplaceBySoftmax and AddSoftmax move the work around a network into it; a Cost is
// what a network holds and computes, found by a walk over its shapes.
//
// Passes edit the model's own graph and, but for WriteOutStatistics, leave the nodes of subgraphs (the branches of If) as they are; a value
// that a subgraph reads counts as used and is renamed there too.
package rewrite
