// Package command evaluates architectures by a program of the user's: each candidate is written as an ONNX model, the program
// is run with its path, and the numbers in its answer are the metrics. It is the way to what plateau cannot measure itself:
// latency on a device, a vendor's compiler, the accuracy of a quantized model.
//
// Its nouns: the command is a program with arguments, of which {model} stands for the path of the candidate's model; its
// answer is one JSON object on standard output; an Attempt is one run of it with everything that it said.
package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Options are what a command evaluator needs beside its settings.
type Options struct {
	Space *space.Space
	// Write writes the model of an architecture to a path that ends in .onnx. It is not called by several goroutines at once.
	Write func(ctx context.Context, a space.Architecture, path string) error
	// Folder is where models are written; each is removed once the command has answered.
	Folder string
	// Attempted, when set, is told of every attempt. It is not called by several goroutines at once. An error ends the evaluation.
	Attempted func(Attempt) error
}

// Attempt is one run of the command.
type Attempt struct {
	Architecture string   `json:"architecture"`
	Attempt      int      `json:"attempt"` // counts from 1
	Command      []string `json:"command"`
	Seconds      float64  `json:"seconds"`
	Exit         int      `json:"exit"`              // exit status; -1 when it was ended by a signal
	Failure      string   `json:"failure,omitempty"` // why there is no answer
	Stdout       string   `json:"stdout"`            // as far as it was read
	Stderr       string   `json:"stderr"`            // its last part
}

// Evaluator runs a command on every architecture. It may be used by several goroutines at once.
type Evaluator struct {
	settings Settings
	options  Options
	program  string // absolute path

	writing, telling sync.Mutex
	mu               sync.Mutex
	proven           bool            // an architecture has been evaluated
	failed           map[string]bool // architectures that failed before any was evaluated
}

var _ score.Evaluator = (*Evaluator)(nil)

// New returns an evaluator. The error says when the settings are wrong or there is no such program.
func New(st Settings, o Options) (*Evaluator, error) {
	if err := st.Validate(""); err != nil {
		return nil, err
	}
	program, err := find(st.Command[0])
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Folder, 0o777); err != nil {
		return nil, fmt.Errorf("evaluating by a command: %w", err)
	}
	return &Evaluator{settings: st, options: o, program: program, failed: map[string]bool{}}, nil
}

// find returns the absolute path of a program.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("evaluating by a command: the program %q cannot be run: %w; give the name of a program on the PATH, or the path of one", name, err)
	}
	return path, nil
}

// Evaluate implements score.Evaluator. A command that fails on an architecture, after all retries, is that architecture's
// failure. When the command fails on the first settings.GiveUp architectures the evaluation ends: then it is not they that are
// wrong.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	place := map[string]int{}
	var unique []space.Architecture
	for _, a := range architectures {
		if err := e.options.Space.Check(a); err != nil {
			return nil, fmt.Errorf("evaluating by a command: %w", err)
		}
		if _, ok := place[a.Key()]; !ok {
			place[a.Key()] = len(unique)
			unique = append(unique, a.Clone())
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("evaluating by a command: %w", err)
	}
	results := make([]score.Result, len(unique))
	done := make([]bool, len(unique))
	next := 0
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(e.settings.Parallel, 1))
	for i, a := range unique {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error {
			r, err := e.one(inner, a)
			if err != nil {
				return err
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			results[i], done[i] = r, true
			// Answers count in the order of the architectures, so that it does not depend on which ended first when to give up.
			for ; next < len(unique) && done[next]; next++ {
				if err := e.count(unique[next], results[next]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("evaluating by a command: %w", err)
	}
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		out[i] = results[place[a.Key()]]
	}
	return out, nil
}

// count gives up when nothing but failures has come.
func (e *Evaluator) count(a space.Architecture, r score.Result) error {
	if e.proven = e.proven || r.OK(); e.proven {
		return nil
	}
	e.failed[a.Key()] = true
	if len(e.failed) >= e.settings.GiveUp {
		return fmt.Errorf("the command %s has failed on each of the first %d architectures, so the fault is likely its own; the last time: %s", strings.Join(e.settings.Command, " "), len(e.failed), r.Failure)
	}
	return nil
}

// one evaluates an architecture.
func (e *Evaluator) one(ctx context.Context, a space.Architecture) (score.Result, error) {
	folder, err := os.MkdirTemp(e.options.Folder, "candidate-")
	if err != nil {
		return score.Result{}, err
	}
	defer os.RemoveAll(folder)
	path, err := filepath.Abs(filepath.Join(folder, "model.onnx"))
	if err != nil {
		return score.Result{}, err
	}
	if err := e.write(ctx, a, path); err != nil {
		if ctx.Err() != nil || !errors.As(err, new(*ArchitectureError)) {
			return score.Result{}, fmt.Errorf("writing the model of %s: %w", e.options.Space.Format(a), err)
		}
		return score.Failed(err), nil
	}
	argv := make([]string, len(e.settings.Command))
	for i, arg := range e.settings.Command {
		argv[i] = strings.NewReplacer("{model}", path, "{architecture}", e.options.Space.Format(a)).Replace(arg)
	}
	var failure error
	for attempt := 1; attempt <= 1+e.settings.Retries; attempt++ {
		began := time.Now()
		o := e.run(ctx, argv)
		if err := ctx.Err(); err != nil {
			return score.Result{}, err
		}
		if o.start != nil {
			return score.Result{}, fmt.Errorf("the program %s cannot be started: %w", e.program, o.start)
		}
		var numbers map[string]float64
		if failure = o.failure; failure == nil {
			numbers, failure = parse(o.stdout, e.settings.wanted())
		}
		at := Attempt{
			Architecture: e.options.Space.Format(a), Attempt: attempt, Command: argv, Seconds: math.Round(time.Since(began).Seconds()*1e3) / 1e3,
			Exit: o.exit, Stdout: string(o.stdout), Stderr: string(o.stderr),
		}
		if failure != nil {
			at.Failure = failure.Error()
		}
		if err := e.tell(at); err != nil {
			return score.Result{}, err
		}
		if failure == nil {
			return e.settings.result(numbers), nil
		}
	}
	if n := e.settings.Retries; n > 0 {
		failure = fmt.Errorf("%w (the last of %d attempts)", failure, n+1)
	}
	return score.Failed(failure), nil
}

// ArchitectureError is the error of Options.Write for a fault of one architecture alone, such as a training that diverged.
type ArchitectureError struct{ Err error }

// Error implements error.
func (e *ArchitectureError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ArchitectureError) Unwrap() error { return e.Err }

func (e *Evaluator) write(ctx context.Context, a space.Architecture, path string) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.options.Write(ctx, a, path)
}

func (e *Evaluator) tell(a Attempt) error {
	if e.options.Attempted == nil {
		return nil
	}
	e.telling.Lock()
	defer e.telling.Unlock()
	return e.options.Attempted(a)
}
