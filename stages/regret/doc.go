// Package regret is the stage kind that compares searches on a table: every search runs many times, each time with another
// seed, and what it has found after a number of evaluations is judged by a truth that it does not see.
//
// Its nouns: a Search is an algorithm with or without a neighborhood; the regret of an architecture is by how much its
// truth falls short of the best in the table; a Pair is a neighborhood-aware search and the plain one of the same
// algorithm, compared seed by seed, by a Wilcoxon signed-rank test and effect sizes. All searches see the same scores, have
// equal numbers of evaluations (those of neighbors included), and begin with the same draws where the seed is the same.
//
// Beside the searches, the correlation of scores with the truth over the whole table says what a neighborhood knows more
// than the score alone.
package regret
