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
// # Many stages from one
//
// A stage with a matrix stands for one stage a combination of values, a stage with foreach for one a value:
//
//	extends: quickstart                 # a shipped document or a file; what follows is merged over it
//	variables: {epochs: 20, seeds: [1, 2, 3]}
//	stages:
//	  search:
//	    kind: search
//	    matrix:
//	      seed: ${seeds}                # the axis seed is the stage's seed, in place of the document's
//	      objective:                    # values with labels; a list of scalars labels itself
//	        plain: {radius: 0}
//	        robust: {radius: 1, aggregate: min}
//	    settings:
//	      epochs: ${epochs}
//	      neighborhood: {<<: "${objective}", samples: 4} # "<<" merges; what stands beside it wins
//	  train:
//	    kind: train
//	    matrix: search                  # the axes of that stage; the same as to write them again
//	    when: ${seed} < 3 or ${objective.radius} > 0
//	  export:
//	    kind: export
//	    matrix: {seed: "${seeds}"}      # in {...} and [...] a reference needs quotes
//	    inputs: {weights: "train@${seed}-robust"}
//	  compare:
//	    kind: compare
//	    inputs: {runs: search}          # all of them: the port takes many
//
// The variants are named search@1-plain, search@1-robust, search@2-plain and so on, in the order of the axes, the last
// fastest; so are their folders. An input that names search means all variants for a port that takes many ([Port].Many; a
// document may also write a list: runs: [search, other.history]). A stage that has axes itself reads from the variants with the
// same labels on the axes that both have: train@2-robust reads search@2-robust. A single variant can be named, too:
// architecture: search@1-plain. With foreach: {LABEL: VALUE} or a list, the value is ${item} and the label ${key}. A stage may
// give itself a seed: N. Variants that do not differ in seed draw the same random numbers: those of the stage without
// matrix under the document's, or their own, seed.
//
// References, in settings, inputs, when, seed, matrix, foreach and how a stage is run, are ${name}, ${name.key} and ${name[0]}; one that is all of a text becomes the value, whatever its type; within
// a text it becomes a part of it; "$${" is a "${" that is none. When the condition under when is false the
// stage is left out, and so is every stage that cannot do without it.
//
// A key without a value removes what the extended document says, except under inputs. A stage of another kind begins afresh. The
// key $schema is for editors.
//
// # Running
//
// A stage may say how it is run; none of this is part of its key:
//
//	train:
//	  kind: train
//	  retries: 2                             # after errors that may pass (see Retryable), from the checkpoint, with growing pauses
//	  timeout: 6h
//	  resources: {cores: 1, memory: 2GB}     # the kind's, unless given; without either [Runner.StageCores], or the whole machine
//
// Stages whose inputs are there start in the order of the plan and run side by side as long as they fit into the run's cores
// and memory. After a failure the running ones may end and no other starts, or with [Runner.KeepGoing] all that do not depend on
// the failed one. A stage that ran anew and wrote the bytes that it wrote before stops the wave: what reads
// them is reused. [PlanOptions] choose what a run is about.
//
// # From a program
//
// [Load] reads a document, [Build] makes one of a [Spec]; [Document.Check] finds its mistakes, [Document.Plan] says what
// a run would do, and [Runner] runs it and tells an event.Sink. [Registry.With] adds kinds of one's own to those that ship
// (stages.Registry). The examples show all of it.
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
