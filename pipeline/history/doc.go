// Package history is what is known of all runs that used a store: a SQLite database that can be asked in SQL, and from Go.
//
// The database is an index and nothing more. The truth lies in the run directories, whose run.json (a [pipeline.RunFile])
// says everything, and in the run files of earlier runs beside it; a run directory that was copied to another machine is complete
// without a database ([Read]). A database that is missing or damaged is made anew from the run directories that the store
// knows; what is lost then are runs whose directory had been removed.
//
// # The database
//
// It is the file history.sqlite in the store's folder, in WAL mode, so that any number of processes may read and write it at once.
//
//	runs       id, name (of the document), status, error, seed, file, document (its text), overrides (JSON), version (of plateau),
//	           started (UTC, RFC 3339), seconds, dir, store
//	stages     run, position, id, kind, version, status, cached, seconds, planned, reason, key, seed, summary
//	settings   run, stage, name (dotted: "neighborhood.radius"), value (JSON)
//	metrics    run, stage, name, value (a number; the text NaN, Infinity or -Infinity for what is none)
//	artifacts  run, stage, name, type, file (in the folder of the stage), digest, size (bytes)
//	sources    path, size, modified: the run files that have been read, so that they are read again only when they change
//
// A run's id is made of when it started and of what document, so it is the same wherever its directory is copied. PRAGMA
// user_version is the number of this layout; a database with another one is made anew.
package history
