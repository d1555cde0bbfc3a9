// Package export makes the model that a search was for: one ONNX file that classifies images wherever ONNX Runtime runs,
// and checks that it does.
//
// A Network with its trained weights becomes its inference form; batch normalization is folded into the convolutions;
// what happens to pixels before and to logits after the network moves into the graph as far as the settings say; and
// everything that a user needs to know of the model goes into its metadata. The written file is then held against
// the unfolded network and against an independent decoder. A file that fails a check is not published.
//
// Beside the model lies what a program needs (companions.go): the names of the classes, how a picture becomes numbers, a card for
// people, and the programs under programs, which are the same for every model and read the rest from these files.
package export
