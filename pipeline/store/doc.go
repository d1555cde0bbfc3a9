// Package store keeps what stages made: artifacts by the hash of their bytes, and a record of each finished stage.
//
// # Format on disk
//
// A store is one folder. Everything in it is plain files; removing the whole folder loses nothing but time.
//
//	format                           "plateau store 1\n"; a store with another number is refused
//	objects/sha256/ab/cdef...        an artifact, named by its SHA-256 in hexadecimal after the first two digits; mode 0444
//	stages/ab/abcdef....json         the record of a finished stage, named by the stage's key
//	latest/DOCUMENT/STAGE.json       the key under which that stage of that document finished last
//	locks/KEY.lock                   an advisory lock: held by the process that is computing KEY
//	scratch/KEY/checkpoint/          the stage's own folder for checkpoints; kept until the stage has finished
//	scratch/KEY/outputs/             what the stage is writing now; emptied whenever the stage starts
//	corrupt/NAME                     objects and records whose bytes were not what they should be, set aside
//	tmp/                             files being written; those older than a day are removed by whoever opens the store
//
// A record and a latest file hold one JSON object, {"checksum": "sha256:...", "body": {...}}: the checksum is that
// of the body's JSON without insignificant white space. The body of a record is a [Record].
//
// # What is promised
//
// A file appears under its name only when it is complete: it is written under tmp or scratch, synced, and renamed. An
// object is written before any record that names it. So after kill -9 or a power cut a store holds only
// whole objects and whole records; at worst some work has to be done again. What is read is verified, and what
// fails is set aside, never used and never silently deleted.
//
// Any number of processes may use one store. Two that want the same stage take turns by its lock: the second
// finds the first one's record and uses it.
package store
