// Package correlation is the stage kind that asks how well a cheap score foretells a truth, and whether the aggregate of a
// neighborhood foretells it better than an architecture's own score (Wang, Cao, Li, Kitani, BMVC 2021).
//
// Its nouns: a Method is a way to give every architecture of a table a score, its own or an aggregate over its
// neighborhood; Figures are what comes of a method: correlations with the truth, the architecture that it would choose, how
// good that one is in truth, and how many of the truly best are among its best. Score and truth are columns of
// tables, and what each of them means is repeated in everything that is written.
package correlation
