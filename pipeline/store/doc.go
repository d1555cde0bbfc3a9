// Package store keeps what stages made: artifacts by the hash of their bytes, and a record of each finished stage.
//
// # Format on disk
//
// A store is one folder. Everything in it is plain files; removing the whole folder loses nothing but time.
//
//	format                           "plateau store 1\n"; a store with another number is refused
//	objects/sha256/ab/cdef...        an artifact, named by its SHA-256 in hexadecimal after the first two digits; mode 0444
//	stages/ab/abcdef....json         the record of a finished stage, named by the stage's key
//	latest/DOCUMENT.json             by stage, the key under which that stage of that document finished last
//	runs/ID.json                     a run directory that uses the store, and the keys that its run names; ID is a hash of its path
//	history.sqlite                   what is known of all runs; made anew from their directories when it is lost (package history)
//	verified.json                    the size, times and inode of large objects when their bytes were last found right
//	locks/KEY.lock                   an advisory lock: held by the process that is computing KEY
//	locks/use.lock                   an advisory lock: shared by runs, held alone by [Store.Collect]
//	scratch/KEY/checkpoint/          the stage's own folder for checkpoints; kept until the stage has finished
//	scratch/KEY/outputs/             what the stage is writing now; emptied whenever the stage starts
//	corrupt/NAME                     objects and records whose bytes were not what they should be, set aside
//	tmp/                             files being written; those older than a day are removed by whoever opens the store
//
// A record, a run and a latest file hold one JSON object, {"checksum": "sha256:...", "body": {...}}: the checksum is that
// of the body's JSON without insignificant white space. The body of a record is a [Record], that of a run a [Run].
// latest and verified.json serve explanations and speed; without them nothing is lost.
//
// # What is promised
//
// A file appears under its name only when it is complete: it is written under tmp or scratch and renamed, an object before any
// record that names it. So after kill -9 a store holds only whole objects and whole records, and what was finished
// is finished. Files are brought to the disk by [Store.Flush], many at once, since a sync of each would cost more
// than a small stage; runs do so whenever a second of work has come together, and when they end. After a power cut what is
// younger may be missing or damaged.
//
// What is read is verified, and what fails is set aside, never used and never silently deleted. A large object that was
// found right is not read again as long as its size, times and inode stay the same.
//
// Any number of processes may use one store. Two that want the same stage take turns by its lock: the second
// finds the first one's record and uses it.
//
// Outputs are copied into run directories and never linked: through a link, an edit in a run directory would change the
// stored object and every other run that shares it. Where the file system can, the copy shares the blocks.
package store
