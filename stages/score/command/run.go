package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// grace is how long pipes that are still open are read from after the program has ended. What it left running may hold them.
const grace = 500 * time.Millisecond

// keptStderr is how many bytes from the end of standard error are kept.
const keptStderr = 64 << 10

// outcome is what a run of the command came to.
type outcome struct {
	stdout, stderr []byte
	exit           int
	failure        error // why there is no answer to read
	start          error // the program could not be started
}

// run runs the command once and ends everything that it has started.
func (e *Evaluator) run(ctx context.Context, argv []string) outcome {
	limited, stop := context.WithTimeout(ctx, e.settings.Timeout)
	defer stop()
	out := &head{limit: e.settings.MaxOutput, over: stop}
	errs := &tail{limit: keptStderr}
	cmd := exec.CommandContext(limited, e.program, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, errs, grace
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return outcome{start: err}
	}
	err := cmd.Wait()
	endGroup(cmd)
	o := outcome{stdout: out.bytes(), stderr: errs.bytes(), exit: cmd.ProcessState.ExitCode()}
	switch {
	case out.exceeded():
		o.failure = fmt.Errorf("the command wrote more than %d bytes to standard output; it must answer with one JSON object and nothing else", e.settings.MaxOutput)
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		o.failure = fmt.Errorf("the command did not end within its timeout of %v and was ended%s", e.settings.Timeout, said(o.stderr))
	case errors.Is(err, exec.ErrWaitDelay): // it has ended well and left something running, which is ended now
	case err != nil:
		o.failure = fmt.Errorf("the command failed: %w%s", err, said(o.stderr))
	}
	return o
}

// said quotes the end of standard error for a message.
func said(stderr []byte) string {
	text := strings.TrimSpace(string(stderr))
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	return "; its last words: " + excerpt(strings.TrimSpace(lines[len(lines)-1]))
}

// excerpt quotes the beginning of a text.
func excerpt(text string) string {
	const most = 160
	if r := []rune(text); len(r) > most {
		return fmt.Sprintf("%q and so on", string(r[:most]))
	}
	return fmt.Sprintf("%q", text)
}

// head keeps the beginning of what is written and calls over when there is more.
type head struct {
	limit int
	over  func()
	mu    sync.Mutex
	kept  bytes.Buffer
	more  bool
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	room := h.limit - h.kept.Len()
	h.kept.Write(p[:min(len(p), room)])
	if len(p) > room && !h.more {
		h.more = true
		h.over()
	}
	return len(p), nil
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.kept.Bytes())
}

func (h *head) exceeded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.more
}

// tail keeps the end of what is written.
type tail struct {
	limit int
	mu    sync.Mutex
	kept  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*t.limit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.kept[max(0, len(t.kept)-t.limit):])
}
