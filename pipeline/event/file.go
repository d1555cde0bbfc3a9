package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// File is a sink that appends events to a file, one JSON object a line. Field names are those of Event.
type File struct {
	mu  sync.Mutex
	f   *os.File
	err error // the first that a write gave
}

// OpenFile opens the file at path for appending, and makes it when there is none. A last line without an end, which a
// process leaves that was killed while writing, is cut off: every line of the file is whole.
func OpenFile(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("opening the event file %s: %w", path, err)
	}
	if err := cutPartialLine(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening the event file %s: %w", path, err)
	}
	return &File{f: f}, nil
}

// cutPartialLine truncates f after its last line end and positions it there.
func cutPartialLine(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for pos := end; pos > 0; {
		n := min(int64(len(buf)), pos)
		if _, err := f.ReadAt(buf[:n], pos-n); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			end = pos - n + int64(i) + 1
			break
		}
		pos -= n
		end = pos
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err = f.Seek(end, io.SeekStart)
	return err
}

// Emit writes e as one line. The first error is kept for Close.
func (s *File) Emit(e Event) {
	line, err := json.Marshal(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		_, err = s.f.Write(append(line, '\n'))
	}
	if s.err == nil {
		s.err = err
	}
}

// Close closes the file. It returns the first error that any write gave.
func (s *File) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.f.Close(); s.err == nil {
		s.err = err
	}
	return s.err
}
