package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// Session is a loaded model that runs with tensors given at each call. Several goroutines may run it at once; a
// provider that cannot do so runs them one after the other.
type Session struct {
	runtime *Runtime
	net     *network

	mu     sync.RWMutex // held for reading while a run is under way
	closed bool
}

// NewSession loads an ONNX model from its bytes. The caller closes the session; the runtime closes it otherwise.
func (r *Runtime) NewSession(model []byte, options SessionOptions) (*Session, error) {
	return create(r, func() (*Session, error) {
		net, err := loadNetwork(r, model, options)
		if err != nil {
			return nil, err
		}
		return &Session{runtime: r, net: net}, nil
	})
}

// NewSessionFile loads an ONNX model from a file, with the external data files beside it.
func (r *Runtime) NewSessionFile(path string, options SessionOptions) (*Session, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load a model: %w", err)
	}
	if options.Name == "" {
		options.Name = filepath.Base(path)
	}
	if options.Folder == "" {
		options.Folder = filepath.Dir(path)
	}
	return r.NewSession(model, options)
}

// Inputs returns what a run must be given, in the model's order.
func (s *Session) Inputs() []IOInfo { return slices.Clone(s.net.inputs) }

// Outputs returns what a run computes, in order.
func (s *Session) Outputs() []IOInfo { return slices.Clone(s.net.outputs) }

// Metadata returns the model's metadata properties.
func (s *Session) Metadata() map[string]string { return maps.Clone(s.net.metadata) }

// Run computes every output from the inputs, which are keyed by name and read in place. The outputs are the
// caller's. A cancelled context ends the run between two operators and its cause is returned.
func (s *Session) Run(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	wrap := func(err error) error { return fmt.Errorf("run %s: %w", s.net.name, err) }
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, wrap(errClosed)
	}
	if err := s.check(inputs); err != nil {
		return nil, wrap(err)
	}
	terminator, err := newTerminator()
	if err != nil {
		return nil, wrap(err)
	}
	defer terminator.destroy()
	if err := terminator.watch(ctx); err != nil {
		return nil, wrap(err)
	}
	var pin goruntime.Pinner
	defer pin.Unpin()
	feeds := make([]ort.Value, 0, len(s.net.inputs))
	fetches := make([]ort.Value, len(s.net.outputs))
	defer func() {
		for _, v := range slices.Concat(feeds, fetches) {
			if v != nil {
				_ = v.Destroy()
			}
		}
	}()
	for _, info := range s.net.inputs {
		t := inputs[info.Name]
		v, err := newValue(t.Shape, t.Data, &pin)
		if err != nil {
			return nil, wrap(fmt.Errorf("input %q: %w", info.Name, err))
		}
		feeds = append(feeds, v)
	}
	for i, info := range s.net.outputs {
		if info.Shape == nil || len(info.Shape) > 0 {
			continue // allocated by the run
		}
		// The binding cannot take over a scalar that the run allocates.
		if fetches[i], err = newScalar(info.DType); err != nil {
			return nil, wrap(fmt.Errorf("output %q: %w", info.Name, err))
		}
	}
	if err := s.net.run(feeds, fetches, terminator.options); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, wrap(err)
	}
	results := make(map[string]Tensor, len(fetches))
	for i, info := range s.net.outputs {
		if scalar := readScalar(fetches[i]); scalar != nil {
			results[info.Name] = Tensor{Shape: []int64{}, Data: scalar}
			continue
		}
		data := contents(fetches[i])
		if data == nil {
			return nil, wrap(fmt.Errorf("output %q: elements of type %s cannot be passed out", info.Name, info.DType))
		}
		results[info.Name] = Tensor{Shape: fetches[i].GetShape(), Data: data}
	}
	return results, nil
}

// check compares the given inputs with the model's.
func (s *Session) check(inputs map[string]Tensor) error {
	for _, info := range s.net.inputs {
		t, ok := inputs[info.Name]
		if !ok {
			return fmt.Errorf("input %q is missing; expected %s %s", info.Name, info.DType, formatShape(info.Shape))
		}
		if err := info.accepts(t); err != nil {
			return err
		}
	}
	if len(inputs) == len(s.net.inputs) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if _, ok := byName(s.net.inputs, name); !ok {
			return fmt.Errorf("there is no input %q; the inputs are %s", name, strings.Join(names(s.net.inputs), ", "))
		}
	}
	return nil
}

var errClosed = errors.New("it is closed")

// Close frees the model after the runs under way have ended. Closing twice does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.runtime.forget(s)
	if err := s.net.session.Destroy(); err != nil {
		return fmt.Errorf("close %s: %w", s.net.name, err)
	}
	return nil
}
