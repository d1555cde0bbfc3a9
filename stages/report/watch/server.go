package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/report/local"
)

// Page is the live page of a run directory: an http.Handler, kept up to date by Follow.
type Page struct {
	dir    string
	pages  *template.Template
	style  template.CSS
	script []byte

	mu      sync.Mutex
	state   state
	tail    tail
	runFile *pipeline.RunFile
	stamp   string // size and time of run.json when it was read
	alive   bool   // the run's process was there when the page was made
	view    view
	parts   []part
	changed chan struct{} // closed when parts are new
}

var _ http.Handler = (*Page)(nil)

// New returns the page of a run directory, as the directory is now. A run that has not begun to write is waited for.
func New(dir string) (*Page, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("watching the run in %s: %w", dir, err)
	}
	p := &Page{dir: abs, tail: tail{path: filepath.Join(abs, "events.jsonl")}, changed: make(chan struct{})}
	if p.pages, p.style, err = templates(); err != nil {
		return nil, err
	}
	if p.script, err = files.ReadFile("page/watch.js"); err != nil {
		return nil, fmt.Errorf("reading the live page: %w", err)
	}
	if err := p.update(true); err != nil {
		return nil, err
	}
	return p, nil
}

// Follow keeps the page up to date until ctx is done: it looks at the run directory again and again, every so often.
func (p *Page) Follow(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := p.update(false); err != nil {
			return err
		}
	}
}

// update reads what is new in the run directory, and tells those who wait when there was something.
func (p *Page) update(always bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, err := p.tail.read(p.state.apply, func() { p.state = state{} })
	if err != nil {
		return err
	}
	alive := p.state.status != pipeline.StatusRunning || pipeline.Running(p.dir)
	if !p.readRunFile() && !changed && alive == p.alive && !always {
		return nil
	}
	p.alive = alive
	p.view = newView(p.dir, &p.state, p.runFile)
	if p.parts, err = render(p.pages, p.view); err != nil {
		return err
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// readRunFile reads run.json when it is new, and says whether it was. One that cannot be read leaves things as they are: the
// events tell most.
func (p *Page) readRunFile() bool {
	path := filepath.Join(p.dir, "run.json")
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stamp := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if stamp == p.stamp {
		return false
	}
	p.stamp = stamp
	f, err := pipeline.ReadRunFile(path)
	if err != nil {
		return false
	}
	p.runFile = f
	return true
}

// ServeHTTP serves the page, its script and its events, to this machine only: a request that names another host comes from a page
// of somebody else that a browser was lured to.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
	if !local.Allow(w, r, policy, http.MethodGet, http.MethodHead) {
		return
	}
	h := w.Header()
	switch r.URL.Path {
	case "/":
		p.servePage(w)
	case "/watch.js":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(p.script) // if the browser is gone, nobody is there to be told
	case "/events":
		p.serveEvents(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Page) servePage(w http.ResponseWriter) {
	p.mu.Lock()
	v := p.view
	v.Style, v.Parts = p.style, p.parts
	p.mu.Unlock()
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, "page.html", v); err != nil {
		http.Error(w, fmt.Sprintf("rendering the live page: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // if the browser is gone, nobody is there to be told
}

// heartbeat is how often a comment is sent when there is no news, so that a connection that is gone is noticed.
const heartbeat = 15 * time.Second

// serveEvents sends every part, and then those that change, until the browser leaves.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	sent := map[string]template.HTML{}
	for {
		p.mu.Lock()
		parts, changed := p.parts, p.changed
		p.mu.Unlock()
		for _, part := range parts {
			if have, ok := sent[part.ID]; ok && have == part.HTML {
				continue
			}
			data, err := json.Marshal(part)
			if err != nil {
				return // texts always marshal
			}
			if _, err := fmt.Fprintf(w, "event: part\ndata: %s\n\n", data); err != nil {
				return
			}
			sent[part.ID] = part.HTML
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-time.After(heartbeat):
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return
			}
		}
	}
}
