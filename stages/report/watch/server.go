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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages/report/local"
)

// Page is the live page of a run directory: an http.Handler, kept up to date by Follow.
type Page struct {
	dir    string
	pages  *template.Template
	style  template.CSS
	script []byte

	mu       sync.Mutex
	state    state
	tail     tail
	runFile  *pipeline.RunFile
	stamp    string // size and time of run.json when it was read
	alive    bool   // the run's process was there when the page was made
	view     view
	parts    []part
	tables   []*table
	families []*family
	drawn    map[string]drawing // what is slow to make, by part
	changed  chan struct{}      // closed when parts are new
}

// drawing is a part as it was made of a version of its stage.
type drawing struct {
	version int
	stamp   string
	html    template.HTML
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
	changed, err := p.tail.read(p.state.apply, func() { p.state, p.drawn = state{}, nil })
	if err != nil {
		return err
	}
	alive := p.state.status != pipeline.StatusRunning || pipeline.Running(p.dir)
	if !p.readRunFile() && !changed && alive == p.alive && !always {
		return nil
	}
	p.alive = alive
	if err := p.draw(); err != nil {
		return err
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// draw makes the parts and the tables. What a stage without news shows is kept.
func (p *Page) draw() error {
	all := newNodes(&p.state, p.runFile, p.alive)
	p.view = newView(p.dir, &p.state, p.runFile, all, gathered(all), p.alive)
	p.families = families(all)
	p.tables = nil
	for _, f := range p.families {
		t, err := newVariants(f, p.state.last)
		if err != nil {
			return err
		}
		p.tables = append(p.tables, t)
	}
	t, err := newMetrics(all)
	if err != nil {
		return err
	}
	if t != nil {
		p.tables = append(p.tables, t)
	}
	spaces := spacesOf(p.runFile)
	drawn := map[string]drawing{}
	keep := func(id, stamp string, st *stage, make func() (template.HTML, error)) error {
		d := drawing{stamp: stamp}
		if st != nil {
			d.version = st.version
		}
		if old, ok := p.drawn[id]; ok && old.version == d.version && old.stamp == d.stamp {
			drawn[id] = old
			return nil
		}
		var err error
		if d.html, err = make(); err == nil {
			drawn[id] = d
		}
		return err
	}
	p.parts = nil
	for _, s := range sectionNames {
		if !s.Many {
			html, err := render(p.pages, "section-"+s.ID, p.view)
			if err != nil {
				return err
			}
			s.HTML = html
			p.parts = append(p.parts, part{ID: s.ID, HTML: html})
		}
		for _, n := range all {
			id := s.ID + "-" + n.id
			if len(n.labels) > 0 {
				continue // variants have their table, where their curves are chosen
			}
			switch {
			case s.ID == "curves" && n.stage != nil:
				err = keep(id, "", n.stage, func() (template.HTML, error) { return render(p.pages, "part-curves", newCurves(n.stage)) })
			case s.ID == "cell":
				err = keep(id, p.stamp, n.stage, func() (template.HTML, error) {
					c, ok := newCell(p.dir, spaces, n)
					if !ok {
						return "", nil
					}
					return render(p.pages, "part-cell", c)
				})
			default:
				continue
			}
			if err != nil {
				return err
			}
			if html := drawn[id].html; html != "" {
				s.Parts = append(s.Parts, part{id, s.ID, html})
			}
		}
		p.parts = append(p.parts, s.Parts...)
		p.view.Sections = append(p.view.Sections, s)
	}
	p.drawn = drawn
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
	case "/overlay":
		p.serveOverlay(w, r)
	default:
		if file, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
			p.serveFile(w, r, file)
			return
		}
		http.NotFound(w, r)
	}
}

func (p *Page) servePage(w http.ResponseWriter) {
	p.mu.Lock()
	v := p.view
	v.Style = p.style
	p.mu.Unlock()
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, "page.html", v); err != nil {
		http.Error(w, fmt.Sprintf("rendering the live page: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // if the browser is gone, nobody is there to be told
}

// serveOverlay answers with the curves of the chosen variants.
func (p *Page) serveOverlay(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	i := slices.IndexFunc(p.families, func(f *family) bool { return f.id == q.Get("table") })
	if i < 0 {
		p.mu.Unlock()
		http.Error(w, "there is no such table of variants", http.StatusNotFound)
		return
	}
	o, fig := p.families[i].newOverlay(q["row"], q.Get("value"))
	p.mu.Unlock()
	var err error
	if o.Value != "" {
		o.HTML, err = render(p.pages, "figure", fig)
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(o)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(text) // if the browser is gone, nobody is there to be told
}

// serveFile serves a page that a stage has written, and no other file. The page is shut off from this one.
func (p *Page) serveFile(w http.ResponseWriter, r *http.Request, file string) {
	stage, name, _ := strings.Cut(file, "/")
	p.mu.Lock()
	found := false
	if p.runFile != nil {
		for _, s := range p.runFile.Stages {
			found = found || s.ID == stage && s.Status == pipeline.StatusDone && slices.ContainsFunc(s.Outputs, func(o store.Output) bool { return o.File == name && isPage(o.Type, o.File) })
		}
	}
	p.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(filepath.Join(p.dir, stage, filepath.FromSlash(name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	http.ServeContent(w, r, "", info.ModTime(), f)
}
