// Package pipeline turns a declarative document into a checked plan and runs it.
//
// Its nouns: a document names stages; a Kind declares what a stage reads and writes; a plan is a document
// whose every name, type and setting has been checked; a Job is what a running stage is given; an Artifact is a
// file known by the hash of its bytes. The package knows stages as an interface and no stage kind.
package pipeline
