package watch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/goccy/go-json"

	"github.com/plateau-nas/plateau/pipeline/event"
)

// tail reads the lines that were appended to an event file since it was read last.
type tail struct {
	path   string
	offset int64 // behind the last whole line
}

// read hands every new event to apply. When the file has become shorter, or another one, it is read from its beginning, after
// reset was called. A line that is no event is passed over; one without an end is left for later. A missing file has no lines.
func (t *tail) read(apply func(event.Event), reset func()) (changed bool, err error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("following %s: %w", t.path, err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("following %s: %w", t.path, err)
	}
	if info.Size() < t.offset {
		t.offset, changed = 0, true
		reset()
	}
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return changed, fmt.Errorf("following %s: %w", t.path, err)
	}
	r := bufio.NewReaderSize(f, 1<<16)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return changed, nil
		}
		if err != nil {
			return changed, fmt.Errorf("following %s: %w", t.path, err)
		}
		t.offset += int64(len(line))
		var e event.Event
		if json.Unmarshal(line, &e) == nil {
			apply(e)
			changed = true
		}
	}
}
