// Package export makes the model that a search was for: one ONNX file that classifies images wherever ONNX Runtime runs,
// and checks that it does.
//
// A Network with its trained weights becomes its inference form; batch normalization is folded into the convolutions;
// what happens to pixels before and to logits after the network moves into the graph as far as the settings say; and
// everything that a user needs to know of the model goes into its metadata. The written file is then held against
// the unfolded network and against an independent decoder. A file that fails a check is not published.
package export
