// Package watch is the live page of a run: curves, the architecture as it evolves, the ranking of neighborhoods, the stages and
// what they say, in the look of the report. It reads nothing but the run directory (events.jsonl, run.json and finished outputs),
// so it shows runs of other processes, and finished ones, too.
//
// A tail follows events.jsonl and feeds a state, which keeps of a long curve only what a picture shows. A view turns the state into parts
// of the page, and the stages of a matrix, and metrics where they are many, into tables, whose rows the page's script sorts and filters.
// The Page serves them, and sends each part and each row that has changed as a server-sent event.
package watch
