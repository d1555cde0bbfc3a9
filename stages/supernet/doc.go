// Package supernet makes graphs of search spaces: the weight-sharing supernet that holds every architecture at
// once, and the stand-alone network of one architecture.
//
// Its nouns: the Macro is the skeleton around the cells; a Supernet is a space in a macro, with one vector of shared
// parameters; a Network is one architecture in a macro, with weights of its own. Both are written by the same layers
// under the same parameter names, so weights pass from one to the other by name.
//
// A supernet comes in two forms. The relaxed one computes every operation of every edge and weighs the results
// with the edge probabilities, an input; it is what gradient-based search differentiates. The path form takes one
// operation an edge as an integer input and computes only those, through If nodes: it costs what the
// architecture costs, and one session serves all architectures.
//
// A declared space (space.Declaration) stands in the skeleton of NAS-Bench-201, in as many stages as wanted; what its graphs
// and files say of it is its reference, by which it is found again.
//
// The DARTS space has a skeleton of its own, DARTSMacro, for which a Macro stands, and a GenotypeNetwork, of which a Network
// of that space is made. Its supernet keeps the weights of all edges that leave a state in one parameter, one edge after the
// other along the first dimension, since it computes them together.
package supernet
