// Package autodiff takes gradients of graphs: reverse mode, graph in, graph out.
//
// Gradients walks from outputs back to the values that gradients are wanted of and appends, for every node on
// the way, the nodes that one small rule for its operator builds. Rules use the static shapes freely to choose a
// formulation that is cheap in ONNX Runtime, and standard operators only, so a training graph runs wherever
// inference does. Sharing of equal nodes and removal of unused ones are the graph's own doing.
//
// Vocabulary of the rules: for a node y = op(x...), dy is the gradient of the loss with respect to y and has
// y's shape; dx is what the rule returns for x. Broadcasting in the forward direction is summation in the
// backward direction (unbroadcast). The formulas are those of Griewank and Walther, Evaluating Derivatives, 2nd
// ed., and for batch normalization of Ioffe and Szegedy, 2015 (arXiv 1502.03167), section 3; where a function has
// no derivative (ties, corners) the choice is PyTorch's and is named at the rule.
package autodiff
