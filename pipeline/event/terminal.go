package event

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// frame is the time between two drawings of the live lines.
const frame = 100 * time.Millisecond

// TerminalOptions say what a terminal can do.
type TerminalOptions struct {
	Width   func() int // columns, asked before each drawing; nil means 80
	Color   bool
	Unicode bool // bars and marks of more than ASCII
	Level   slog.Level
	Now     func() time.Time // nil means time.Now
}

// Terminal is a sink for people at a terminal: running stages have live lines at the bottom, with a bar, rate, values and
// time left; finished stages and what stages say scroll above them.
type Terminal struct {
	o TerminalOptions

	mu      sync.Mutex
	w       io.Writer
	running []*runningStage
	drawn   int  // live lines on the screen
	dirty   bool // something changed since they were drawn
	closed  bool

	stop chan struct{}
	done sync.WaitGroup
}

type runningStage struct {
	id       string
	started  time.Time
	resumed  bool
	progress *Progress
	at       time.Time // of the progress
	summary  string
}

// NewTerminal returns a sink that draws on w, which is a terminal. Close must be called, also before anything else is written
// to w for good.
func NewTerminal(w io.Writer, o TerminalOptions) *Terminal {
	if o.Width == nil {
		o.Width = func() int { return 80 }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Terminal{o: o, w: w, stop: make(chan struct{})}
	t.done.Go(t.loop)
	return t
}

// loop redraws the live lines now and then, so that fast stages do not flood the terminal and slow ones show the time passing.
func (t *Terminal) loop() {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.mu.Lock()
		if now := t.o.Now(); t.dirty || len(t.running) > 0 && now.Sub(last) >= time.Second {
			t.redraw("")
			last = now
		}
		t.mu.Unlock()
	}
}

// Close removes the live lines and stops drawing. Later events are ignored.
func (t *Terminal) Close() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.running = nil
	t.redraw("")
	t.closed = true
	t.mu.Unlock()
	close(t.stop)
	t.done.Wait()
}

// Emit shows e, at once when it adds a line above the live ones, otherwise with the next drawing.
func (t *Terminal) Emit(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	s := t.stage(e.Stage)
	switch e.Type {
	case StageStarted:
		t.running = append(t.running, &runningStage{id: e.Stage, started: e.Time})
		t.dirty = true
	case StageResumed:
		if s != nil {
			s.resumed = true
		}
		t.redraw(t.paint(dim, indented(e.Stage, oneLine(e.Message))))
	case StageProgress:
		if s != nil {
			s.progress, s.at = e.Progress, e.Time
			t.dirty = true
		}
	case StageSummary:
		if s != nil {
			s.summary = firstLine(e.Message)
		}
	case StageLog:
		if line := logLine(e, t.o.Level); line != "" {
			style := dim
			if e.Level == "warn" || e.Level == "error" {
				style = yellow
			}
			t.redraw(t.paint(style, "  "+line))
		}
	case StageReused:
		t.redraw(t.endLine(t.mark("=", "="), dim, e.Stage, "", "reused: "+oneLine(e.Message)))
	case StageFinished:
		text := ""
		if s != nil {
			text = s.summary
		}
		t.remove(e.Stage)
		t.redraw(t.endLine(t.mark("✓", "+"), green, e.Stage, FormatSeconds(e.Seconds), text))
	case StageFailed:
		t.remove(e.Stage)
		t.redraw(t.endLine(t.mark("✗", "x"), red, e.Stage, FormatSeconds(e.Seconds), "stopped"))
	}
}

func (t *Terminal) stage(id string) *runningStage {
	i := slices.IndexFunc(t.running, func(s *runningStage) bool { return s.id == id })
	if i < 0 {
		return nil
	}
	return t.running[i]
}

func (t *Terminal) remove(id string) {
	t.running = slices.DeleteFunc(t.running, func(s *runningStage) bool { return s.id == id })
}

// redraw replaces the live lines, and writes a line above them unless it is "". One write call, so that nothing comes between.
func (t *Terminal) redraw(above string) {
	var b strings.Builder
	if t.drawn > 0 {
		b.WriteString("\r")
		if t.drawn > 1 {
			fmt.Fprintf(&b, "\x1b[%dA", t.drawn-1)
		}
		b.WriteString("\x1b[J") // to the end of the screen
	}
	if above != "" {
		b.WriteString(above + "\n")
	}
	lines := t.liveLines()
	b.WriteString(strings.Join(lines, "\n"))
	t.drawn, t.dirty = len(lines), false
	if b.Len() > 0 {
		_, _ = io.WriteString(t.w, b.String()) // a terminal that is gone needs no report
	}
}

type style string

const (
	bold   style = "\x1b[1m"
	dim    style = "\x1b[2m"
	red    style = "\x1b[31m"
	green  style = "\x1b[32m"
	yellow style = "\x1b[33m"
	cyan   style = "\x1b[36m"
)

func (t *Terminal) paint(s style, text string) string {
	if !t.o.Color || text == "" {
		return text
	}
	return string(s) + text + "\x1b[0m"
}

func (t *Terminal) mark(unicode, ascii string) string {
	if t.o.Unicode {
		return unicode
	}
	return ascii
}

func indented(stage, message string) string { return fmt.Sprintf("  %s: %s", stage, message) }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return oneLine(line)
}

// nameWidth is the column in which stage names are padded; longer names push the rest to the right.
const nameWidth = 12

// minWidth is the least that lines are cut to.
const minWidth = nameWidth + 7

// endLine is the line of a stage that is over.
func (t *Terminal) endLine(mark string, s style, stage, time, text string) string {
	rest := strings.TrimSpace(pad(time, 6) + "  " + text)
	if time == "" {
		rest = text
	}
	head := pad(stage, nameWidth)
	room := max(t.o.Width()-1, minWidth) - len("x ") - max(len(stage), nameWidth) - 1
	return t.paint(s, mark) + " " + t.paint(bold, head) + " " + cut(rest, room)
}

// liveLines are the lines at the bottom: one or two a running stage.
func (t *Terminal) liveLines() []string {
	width := max(t.o.Width()-1, minWidth)
	var out []string
	for _, s := range t.running {
		out = append(out, t.barLine(s, width))
		if p := s.progress; p != nil {
			detail := strings.TrimSpace(formatValues(p.Values, "  ") + "  " + oneLine(p.Note))
			if detail != "" {
				out = append(out, t.paint(dim, cut(strings.Repeat(" ", nameWidth+3)+detail, width)))
			}
		}
	}
	return out
}

// barLine is the first line of a running stage: "> search  warm-up  epoch 3/20  [####....]  12.3 steps/s  2m10s left".
func (t *Terminal) barLine(s *runningStage, width int) string {
	now := t.o.Now()
	name := cut(s.id, max(width/3, nameWidth))
	head := t.paint(cyan, t.mark("▸", ">")) + " " + t.paint(bold, pad(name, nameWidth)) + " "
	room := width - len("x ") - max(len(name), nameWidth) - 1
	elapsed := FormatSeconds(max(now.Sub(s.started).Seconds(), 0))
	p := s.progress
	if p == nil {
		return head + cut(elapsed, room)
	}
	left := *p
	if left.Remaining > 0 { // let the time run down between two reports
		left.Remaining = max(left.Remaining-now.Sub(s.at).Seconds(), 0)
	}
	label := strings.TrimSpace(oneLine(p.Phase) + "  " + formatCount(p))
	pace := strings.TrimSpace(elapsed + "  " + formatPace(&left, "  "))
	parts := []string{label}
	if barRoom := room - len(label) - len(pace) - 4; p.Total > 0 && barRoom >= 10 {
		parts = append(parts, t.bar(float64(p.Done)/float64(p.Total), min(barRoom, 30)))
	}
	parts = append(parts, pace)
	// Cutting counts the cells of what is seen, so it must happen before anything is painted.
	line := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
	return head + cut(line, room)
}

// bar draws a share of 0 to 1.
func (t *Terminal) bar(share float64, width int) string {
	full := int(min(max(share, 0), 1)*float64(width) + 0.5)
	return strings.Repeat(t.mark("━", "#"), full) + strings.Repeat(t.mark("─", "."), width-full)
}
