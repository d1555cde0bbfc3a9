package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// Step runs one graph of fixed shapes again and again. It owns a buffer for every input and output that is not a
// state; callers write the inputs' buffers, call Run, and read the outputs' buffers. One run at a time: a second call
// of Run waits.
type Step struct {
	runtime    *Runtime
	net        *network
	terminator *terminator
	buffers    map[string]any // by input or output name
	states     []stateUse
	locks      []stateLock

	mu     sync.Mutex
	pin    goruntime.Pinner
	owned  []ort.Value // everything to destroy
	feeds  []ort.Value // what the next run reads
	fetch  []ort.Value // what the next run writes
	closed bool
}

// StepOptions says how a step is loaded.
type StepOptions struct {
	SessionOptions
	// States are read by the inputs of the same name, which must have as many elements. Where the model has an output
	// "next_NAME" the state is replaced by it after each run.
	States map[string]*State
}

// stateUse is an input that reads a state, with values over both of the state's buffers.
type stateUse struct {
	state  *State
	input  int // index into feeds
	reads  [2]*value
	output int // index into fetch, -1 when the step only reads
	writes [2]*value
}

// stateLock is a state to be locked for a run.
type stateLock struct {
	state *State
	write bool
}

// nextPrefix begins the name of the output that replaces a state.
const nextPrefix = "next_"

// NewStep loads a model whose inputs and outputs all have fixed shapes of at least one dimension. The caller closes
// the step before its states; the runtime closes both otherwise.
func (r *Runtime) NewStep(model []byte, options StepOptions) (*Step, error) {
	return create(r, func() (*Step, error) {
		options.Outputs = nil
		// A memory pattern lays all values of a run side by side in one block. For a training graph, whose forward values
		// live long, that takes nearly twice the memory of handing blocks out one by one, and is no faster.
		options.NoMemoryPattern = true
		net, err := loadNetwork(r, model, options.SessionOptions)
		if err != nil {
			return nil, err
		}
		s := &Step{runtime: r, net: net, buffers: map[string]any{}}
		if s.terminator, err = newTerminator(); err == nil {
			err = s.bind(options.States)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %s as a step: %w", net.name, err), s.free())
		}
		return s, nil
	})
}

// bind gives every input and output its memory.
func (s *Step) bind(states map[string]*State) error {
	for _, name := range slices.Sorted(maps.Keys(states)) {
		if _, ok := byName(s.net.inputs, name); !ok {
			return fmt.Errorf("there is no input %q for the state of that name; the inputs are %s", name, strings.Join(names(s.net.inputs), ", "))
		}
	}
	s.feeds = make([]ort.Value, len(s.net.inputs))
	s.fetch = make([]ort.Value, len(s.net.outputs))
	next := map[string]int{} // output name -> index into s.states
	for i, info := range s.net.inputs {
		if err := fixed("input", info); err != nil {
			return err
		}
		state, ok := states[info.Name]
		if !ok {
			v, err := s.own(info)
			if err != nil {
				return fmt.Errorf("input %q: %w", info.Name, err)
			}
			s.feeds[i] = v
			continue
		}
		reads, err := s.over(state, "input", info)
		if err != nil {
			return err
		}
		next[nextPrefix+info.Name] = len(s.states)
		s.states = append(s.states, stateUse{state: state, input: i, reads: reads, output: -1})
	}
	for i, info := range s.net.outputs {
		if err := fixed("output", info); err != nil {
			return err
		}
		use, ok := next[info.Name]
		if !ok {
			v, err := s.own(info)
			if err != nil {
				return fmt.Errorf("output %q: %w", info.Name, err)
			}
			s.fetch[i] = v
			continue
		}
		writes, err := s.over(s.states[use].state, "output", info)
		if err != nil {
			return err
		}
		s.states[use].output, s.states[use].writes = i, writes
	}
	return s.orderLocks()
}

// fixed refuses what a step cannot hold a buffer for.
func fixed(kind string, info IOInfo) error {
	switch {
	case info.Shape == nil || Elements(info.Shape) < 0:
		return fmt.Errorf("%s %q has the shape %s; a step needs fixed ones", kind, info.Name, formatShape(info.Shape))
	case len(info.Shape) == 0:
		return fmt.Errorf("%s %q has no dimensions; give it the shape [1]", kind, info.Name)
	}
	return nil
}

// own makes a buffer for an input or output.
func (s *Step) own(info IOInfo) (*value, error) {
	data := makeData(info.DType, Elements(info.Shape))
	if data == nil {
		return nil, fmt.Errorf("elements of type %s cannot be passed", info.DType)
	}
	v, err := newValue(info.Shape, data, &s.pin)
	if err != nil {
		return nil, err
	}
	s.owned = append(s.owned, v)
	s.buffers[info.Name] = data
	return v, nil
}

// over makes values over both buffers of a state.
func (s *Step) over(state *State, kind string, info IOInfo) ([2]*value, error) {
	var values [2]*value
	if state == nil {
		return values, fmt.Errorf("the state for input %q is nil", info.Name)
	}
	if state.runtime != s.runtime {
		return values, fmt.Errorf("the state for %s %q belongs to another runtime", kind, info.Name)
	}
	if n := Elements(info.Shape); info.DType != Float32 || n != state.Len() {
		return values, fmt.Errorf("%s %q: got a state of %d float32 numbers, expected %s %s", kind, info.Name, state.Len(), info.DType, formatShape(info.Shape))
	}
	for i, buffer := range state.buffers {
		v, err := newValue(info.Shape, buffer, &s.pin)
		if err != nil {
			return values, fmt.Errorf("%s %q: %w", kind, info.Name, err)
		}
		s.owned = append(s.owned, v)
		values[i] = v
	}
	return values, nil
}

// orderLocks settles in which order a run locks its states, the same for all steps so that two of them cannot wait
// for each other, and counts the step as a user of each.
func (s *Step) orderLocks() error {
	for _, use := range s.states {
		write := use.output >= 0
		at := slices.IndexFunc(s.locks, func(l stateLock) bool { return l.state == use.state })
		if at < 0 {
			s.locks = append(s.locks, stateLock{use.state, write})
			continue
		}
		if write && s.locks[at].write {
			return fmt.Errorf("one state is given for two inputs that both replace it, one of them %q", s.net.inputs[use.input].Name)
		}
		s.locks[at].write = s.locks[at].write || write
	}
	slices.SortFunc(s.locks, func(a, b stateLock) int { return cmp.Compare(a.state.order, b.state.order) })
	for i, l := range s.locks {
		if err := l.state.retain(); err != nil {
			s.locks = s.locks[:i]
			return fmt.Errorf("use a state: %w", err)
		}
	}
	return nil
}

// Inputs returns the model's inputs in order, states included.
func (s *Step) Inputs() []IOInfo { return slices.Clone(s.net.inputs) }

// Outputs returns the model's outputs in order, states included.
func (s *Step) Outputs() []IOInfo { return slices.Clone(s.net.outputs) }

// Metadata returns the model's metadata properties.
func (s *Step) Metadata() map[string]string { return maps.Clone(s.net.metadata) }

// Float32 returns the buffer of a float32 input or output itself, in row-major order: write an input's before Run, read an
// output's after. It stays the same slice until the step is closed; Run replaces an output's contents.
func (s *Step) Float32(name string) ([]float32, error) { return buffer[float32](s, name) }

// Int64 returns the buffer of an int64 input or output; see Float32.
func (s *Step) Int64(name string) ([]int64, error) { return buffer[int64](s, name) }

// Int32 returns the buffer of an int32 input or output; see Float32.
func (s *Step) Int32(name string) ([]int32, error) { return buffer[int32](s, name) }

// Uint8 returns the buffer of a uint8 input or output; see Float32.
func (s *Step) Uint8(name string) ([]uint8, error) { return buffer[uint8](s, name) }

// Bool returns the buffer of a bool input or output; see Float32.
func (s *Step) Bool(name string) ([]bool, error) { return buffer[bool](s, name) }

// Float64 returns the buffer of a float64 input or output; see Float32.
func (s *Step) Float64(name string) ([]float64, error) { return buffer[float64](s, name) }

func buffer[T any](s *Step, name string) ([]T, error) {
	data, ok := s.buffers[name]
	if !ok {
		known := slices.Sorted(maps.Keys(s.buffers))
		for _, use := range s.states {
			if in := s.net.inputs[use.input].Name; name == in || name == nextPrefix+in {
				return nil, fmt.Errorf("buffer of %s: %q is a state; use its Read and Write", s.net.name, name)
			}
		}
		return nil, fmt.Errorf("buffer of %s: there is no input or output %q; there are %s", s.net.name, name, strings.Join(known, ", "))
	}
	typed, ok := data.([]T)
	if !ok {
		var want []T
		got, _ := dtypeOf(data)
		asked, _ := dtypeOf(any(want))
		return nil, fmt.Errorf("buffer of %s: %q holds %s, asked for as %s", s.net.name, name, got, asked)
	}
	return typed, nil
}

// Run computes the outputs from the inputs and the states and then replaces the states that the model has a next value
// for. A cancelled context ends the run between two operators; after an error the states are as before and the output
// buffers hold anything.
func (s *Step) Run(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("run %s: %w", s.net.name, errClosed)
	}
	if err := s.terminator.watch(ctx); err != nil {
		return fmt.Errorf("run %s: %w", s.net.name, err)
	}
	for _, l := range s.locks {
		if l.write {
			l.state.mu.Lock()
		} else {
			l.state.mu.RLock()
		}
	}
	for i := range s.states {
		use := &s.states[i]
		current := use.state.current
		s.feeds[use.input] = use.reads[current]
		if use.output >= 0 {
			s.fetch[use.output] = use.writes[1-current]
		}
	}
	err := s.net.run(s.feeds, s.fetch, s.terminator.options)
	for _, l := range slices.Backward(s.locks) {
		if !l.write {
			l.state.mu.RUnlock()
			continue
		}
		if err == nil {
			l.state.current = 1 - l.state.current
		}
		l.state.mu.Unlock()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("run %s: %w", s.net.name, err)
	}
	return nil
}

// Close frees the graph and its buffers after a run under way has ended. Closing twice does nothing.
func (s *Step) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.runtime.forget(s)
	if err := s.free(); err != nil {
		return fmt.Errorf("close %s: %w", s.net.name, err)
	}
	return nil
}

// free destroys whatever of the step exists.
func (s *Step) free() error {
	var errs []error
	if s.terminator != nil {
		errs = append(errs, s.terminator.destroy())
	}
	errs = append(errs, s.net.session.Destroy())
	for _, v := range s.owned {
		errs = append(errs, v.Destroy())
	}
	s.pin.Unpin()
	for _, l := range s.locks {
		l.state.release()
	}
	s.owned, s.locks = nil, nil
	return errors.Join(errs...)
}
