// Package kernels knows which operators an execution provider of ONNX Runtime has kernels for, without that provider being
// at hand.
//
// A node without a kernel on the chosen provider is run on the CPU, its operands being copied there and back, which no message
// tells of. Check finds such nodes by the table that the ONNX Runtime project publishes, held here as data (cuda.txt, which
// names its source). Adapt is the one place where a model takes another form for a provider that computes an operator
// differently from what ONNX defines.
package kernels
