// Package table reads tables of what every architecture of a space achieves when it is trained, such as those of
// NAS-Bench-201, so that a search can be tried and judged in seconds.
//
// Its nouns: a Benchmark says how a public table names its architectures and what its columns mean; a Table holds the
// numeric columns of one or several files, joined by architecture, each as a dense array by rank; the rank of an
// architecture is its place in the lexicographic order of operations, the order of space.Space.All, and its index is the
// number that the public table gives it; the Meaning of a column says what was measured, on which data set and split and
// after how many epochs of training; an Evaluator answers a search from a column.
//
// Two columns of equal name and different epochs or split are different truths, and taking one for the other is the
// field's commonest mistake. So no column is used as a score before its meaning is known: from the benchmark where the
// file has a known layout, else from the person who gives the file.
package table
