package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Runtime is a loaded ONNX Runtime with one provider. Its methods may be called from several goroutines.
type Runtime struct {
	library      located
	provider     string
	adapt        func(provider string, model []byte) ([]byte, error) // may be nil
	threads      int
	optimization string
	states       atomic.Uint64 // how many were created

	life   sync.RWMutex // held for reading while something is created, for writing while the runtime closes
	closed bool

	mu   sync.Mutex
	live []resource // in the order of creation
}

// resource is what a runtime closes when its owner has not.
type resource interface{ Close() error }

// Open finds ONNX Runtime, fetching it if need be, loads it and settles on a provider. An error that
// errors.As finds to be an *EnvironmentError says what to install or set. The caller closes the runtime.
func Open(ctx context.Context, settings Settings) (*Runtime, error) {
	s, err := settings.check()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime: %w", context.Cause(ctx))
	}
	lib, err := newFinder(s).find(ctx)
	if err != nil {
		return nil, err
	}
	if lib.Version, err = process.acquire(lib); err != nil {
		return nil, err
	}
	r := &Runtime{library: lib, threads: s.Threads, optimization: s.Optimization, adapt: s.Adapt}
	if r.provider, err = chooseProvider(ctx, s, lib); err != nil {
		return nil, errors.Join(err, process.release())
	}
	return r, nil
}

// Close closes every step, session and state that is still open, the latest first, waiting for runs under way,
// and unloads the library when no other Runtime of the process uses it. Closing twice does nothing.
func (r *Runtime) Close() error {
	r.life.Lock()
	closed := r.closed
	r.closed = true
	r.life.Unlock()
	if closed {
		return nil
	}
	r.mu.Lock()
	live := r.live
	r.live = nil
	r.mu.Unlock()
	var errs []error
	for _, x := range slices.Backward(live) {
		errs = append(errs, x.Close())
	}
	errs = append(errs, process.release())
	return errors.Join(errs...)
}

// Provider returns the execution provider in use: cpu, cuda, tensorrt or webgpu.
func (r *Runtime) Provider() string { return r.provider }

// Threads returns the number of threads that one operator may use.
func (r *Runtime) Threads() int { return r.threads }

// Library returns the path of the loaded library.
func (r *Runtime) Library() string { return r.library.Path }

// LibrarySource says where the library was found.
func (r *Runtime) LibrarySource() Source { return r.library.Source }

// LibraryVersion returns the version that the loaded library reports.
func (r *Runtime) LibraryVersion() string { return r.library.Version }

// create runs make while the runtime cannot be closed, and keeps what it returns for Close.
func create[T resource](r *Runtime, make func() (T, error)) (T, error) {
	r.life.RLock()
	defer r.life.RUnlock()
	var none T
	if r.closed {
		return none, errClosedRuntime
	}
	x, err := make()
	if err != nil {
		return none, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = append(r.live, x)
	return x, nil
}

var errClosedRuntime = errors.New("the runtime is closed")

// forget drops what its owner has closed.
func (r *Runtime) forget(x resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.live, x); i >= 0 {
		r.live = slices.Delete(r.live, i, i+1)
	}
}
