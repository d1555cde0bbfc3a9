// Package compare is the stage kind that holds methods against each other that a document ran with several seeds.
//
// Its nouns: a method is what a document varies, named by the labels of its matrix; a finding is the architecture that a
// method found with one seed; a measure is a number of a finding: its entry in a public table, an accuracy that was measured,
// a score of the search itself; a pair is two methods that are compared seed by seed, by a Wilcoxon signed-rank test and by
// effect sizes; the cost of a finding is what the stages took that led to it.
//
// With few seeds little can be shown, and that is said: how small p can become, and in words when a difference is not
// significant.
package compare
