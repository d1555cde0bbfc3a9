// Package watch is the live page of a run: curves, the architecture as it evolves, the ranking of neighborhoods, the stages and
// what they say, in the look of the report. It reads nothing but the run directory (events.jsonl, run.json and finished outputs),
// so it shows runs of other processes, and finished ones, too.
//
// A tail follows events.jsonl and feeds a state; a view turns the state into parts of the page; the Page serves them, and sends each
// part that has changed as a server-sent event.
package watch
