package event

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// linesEvery is how often, at most, a stage that completes no unit is heard of.
const linesEvery = 10 * time.Second

// Lines is a sink for people who read a log: it writes whole lines and never moves the cursor. A line tells of each
// completed unit, and otherwise at most every ten seconds of what goes on.
type Lines struct {
	Level slog.Level // of what stages say; warnings and errors are always shown

	mu   sync.Mutex
	w    io.Writer
	last map[string]time.Time // stage -> time of its last line
}

// NewLines returns a sink that writes to w.
func NewLines(w io.Writer, level slog.Level) *Lines {
	return &Lines{Level: level, w: w, last: map[string]time.Time{}}
}

// Emit writes what e has to tell. Errors of the writer are ignored: nobody reads there any more.
func (s *Lines) Emit(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.line(e)
	if line == "" {
		return
	}
	s.last[e.Stage] = e.Time
	_, _ = fmt.Fprintln(s.w, line)
}

func (s *Lines) line(e Event) string {
	switch e.Type {
	case StageStarted:
		return fmt.Sprintf("%s: starts (%s)", e.Stage, oneLine(e.Message))
	case StageResumed:
		return fmt.Sprintf("%s: %s", e.Stage, oneLine(e.Message))
	case StageReused:
		return fmt.Sprintf("%s: reused (%s)", e.Stage, oneLine(e.Message))
	case StageProgress:
		if !e.Progress.Final && e.Time.Sub(s.last[e.Stage]) < linesEvery {
			return ""
		}
		return e.Stage + ": " + progressLine(e.Progress)
	case StageLog:
		return logLine(e, s.Level)
	case StageFinished:
		return fmt.Sprintf("%s: done in %s", e.Stage, FormatSeconds(e.Seconds))
	case StageFailed:
		return fmt.Sprintf("%s: stopped after %s", e.Stage, FormatSeconds(e.Seconds))
	}
	return ""
}

// Close does nothing; it is there so that every sink for people ends alike.
func (s *Lines) Close() {}

// progressLine joins all parts of a progress.
func progressLine(p *Progress) string {
	var parts []string
	for _, part := range []string{
		strings.TrimSpace(oneLine(p.Phase) + " " + formatCount(p)), formatValues(p.Values, ", "), formatPace(p, ", "), oneLine(p.Note),
	} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// logLine writes what a stage says, or "" when it is below the level.
func logLine(e Event, level slog.Level) string {
	var l slog.Level
	if l.UnmarshalText([]byte(e.Level)) != nil {
		l = slog.LevelInfo
	}
	if l < min(level, slog.LevelWarn) {
		return ""
	}
	mark := ""
	switch {
	case l >= slog.LevelError:
		mark = "error: "
	case l >= slog.LevelWarn:
		mark = "warning: "
	}
	return fmt.Sprintf("%s: %s%s", e.Stage, mark, oneLine(e.Message))
}
