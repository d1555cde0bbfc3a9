// Package cmd is the command line of plateau: everything that the command does beside reading its arguments stands in the
// packages it calls. A program that brings stage kinds of its own calls [Main] with them and has run, validate, plan, watch, schema
// and all other commands for documents that use them.
package cmd

import (
	"fmt"
	"os"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
)

// Options says in what a program differs from the command plateau.
type Options struct {
	// Kinds returns stage kinds of the program's own, which documents use by their names beside those that ship. A name that a
	// shipped kind has is an error that every command reports. A kind that computes with ONNX Runtime calls open when it runs, not
	// before, so that documents are checked and planned without the library. Nil for none.
	Kinds func(open runtime.Opener) []pipeline.Kind
	// Version is what --version prints and run.json names, for instance 1.2.3. Empty for what the Go tool knows about the build.
	Version string
}

// Main runs the command line that the process was started with and ends the process: 0 done, 1 failed, 2 bad usage or document,
// 3 the environment is not usable, 130 interrupted with a checkpoint left. It belongs first in a program's main, since child
// processes that try an execution provider (see [runtime.ProbeMain]) and those that the pipeline starts are the same program.
func Main(o Options) {
	prober := runtime.ProbeMain() // in a child process that tries a provider, this does not return
	os.Exit(execute(&app{
		args:     os.Args[1:],
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		registry: o.registry,
		prober:   prober,
		version:  o.Version,
	}))
}

// registry holds the shipped kinds and the program's own.
func (o Options) registry(open runtime.Opener) (*pipeline.Registry, error) {
	shipped, err := stages.Registry(open)
	if err != nil || o.Kinds == nil {
		return shipped, err
	}
	own, err := shipped.With(o.Kinds(open)...)
	if err != nil {
		return nil, fmt.Errorf("adding this program's stage kinds: %w", err)
	}
	return own, nil
}
