// Package pipeline turns a declarative document into a checked plan and runs it.
//
// Its nouns: a [Document] names stages; a [Kind] declares what a stage reads and writes, and a [Registry] holds the kinds that
// documents may use; a [Plan] is a document whose every name, type and setting has been checked, with what a run will do
// for each stage and why; a [Runner] runs it; a [Job] is what a running stage is given; an [Artifact] is a file known by the
// hash of its bytes. The package knows stages as an interface and no stage kind.
//
// # A document
//
//	name: quickstart                # default: the file's name
//	seed: 1                         # every random stream of the run comes from it
//	stages:
//	  data:                         # an id: letters, digits, - and _
//	    kind: dataset
//	    settings: {source: shapes}  # those left out keep the kind's defaults
//	  search:
//	    kind: search
//	    inputs: {dataset: data}     # STAGE or STAGE.OUTPUT
//
// An input that is left out is the one earlier output of its type; for one that is not optional and has no earlier output,
// the one later output. Two that fit are a mistake. An optional input with no value stays unconnected. Mistakes are all
// reported at once, as a [DiagnosticsError].
//
// # Keys
//
// A stage's key is the hash of its kind and the kind's version, its settings in canonical form, its seed, the digests and
// origins of its inputs, and its fingerprint. A finished stage is recorded in the store under its key; whoever needs the
// same key again takes the result. Settings tagged `key:"-"` stay out.
//
// # What a run survives
//
// A run may be killed at any moment. What a stage finished is in the store before the run directory sees it, and a
// stage's checkpoints lie in a folder that belongs to its key. The next run, of any document that has the same
// stage, continues there.
package pipeline
