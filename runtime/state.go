package runtime

import (
	"fmt"
	goruntime "runtime"
	"sync"
)

// State is a flat float32 vector that steps read and replace. It has two buffers: a step reads one and writes the
// other, and then they swap, so that a step that fails or is cancelled leaves the state as it was. Steps that share a
// state take turns where one of them replaces it. Its methods may be called from several goroutines.
type State struct {
	runtime *Runtime
	order   uint64 // states are locked in this order

	mu      sync.RWMutex
	buffers [2][]float32
	current int
	pin     goruntime.Pinner
	users   int // steps that hold the buffers
	closed  bool
}

// NewState returns a state of n zeros.
func (r *Runtime) NewState(n int) (*State, error) {
	if n < 1 {
		return nil, fmt.Errorf("create a state of %d numbers: it needs at least 1", n)
	}
	return create(r, func() (*State, error) {
		s := &State{runtime: r, order: r.states.Add(1)}
		for i := range s.buffers {
			s.buffers[i] = make([]float32, n)
			s.pin.Pin(&s.buffers[i][0])
		}
		return s, nil
	})
}

// Len returns the number of elements.
func (s *State) Len() int { return len(s.buffers[0]) }

// Read copies the state into dst, as many elements as both hold.
func (s *State) Read(dst []float32) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	copy(dst, s.buffers[s.current])
}

// Write replaces the state by src, which must be of the same length.
func (s *State) Write(src []float32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(src) != s.Len() {
		return fmt.Errorf("write a state: got %d numbers, expected %d", len(src), s.Len())
	}
	copy(s.buffers[s.current], src)
	return nil
}

// View calls f with the state itself, which f must neither change nor keep.
func (s *State) View(f func(values []float32)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f(s.buffers[s.current])
}

// Close frees the buffers. It fails while a step uses them. Closing twice does nothing.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if s.users > 0 {
		return fmt.Errorf("close a state: %d steps use it; close those first", s.users)
	}
	s.closed = true
	s.pin.Unpin()
	s.runtime.forget(s)
	return nil
}

// retain and release count the steps whose values point into the buffers.
func (s *State) retain() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.users++
	return nil
}

func (s *State) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
}
