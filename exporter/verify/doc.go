// Package verify answers whether a written model is the one that was meant.
//
// It offers two witnesses. Decoded reads a file a second time with a decoder that shares no code with ours
// (onnx-go, with its own protobuf types) and compares what both have understood: operators, attributes, edges,
// inputs, outputs and every number of every initializer. Compare and Parity hold the outputs of two models
// against each other, number by number; who ran the models is not this package's business.
package verify
