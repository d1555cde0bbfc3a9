// Package graph builds ONNX graphs in Go.
//
// Its nouns: a Graph collects nodes; a Value is the result of a node, an input or a constant, and carries its
// element type and its static shape; a Node applies one ONNX operator; a Scope is a path such as "cell3/edge1"
// that names nodes and tells where an error was made; a Body is the subgraph of one branch of If.
//
// Functions such as Conv and Add take values and append a node to the values' graph. A wrong shape or type is an
// error at the call that made it. The graph keeps the first error and every later call does nothing, so a
// network is written without checks and Err or Model is asked once, at the end.
//
// Equal nodes on equal inputs are built once (hash-consing), and Model leaves out what no output needs, so
// code that builds graphs, gradients above all, need not take care of either.
package graph
