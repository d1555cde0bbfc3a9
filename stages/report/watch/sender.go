package watch

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// heartbeat is how often a comment is sent when there is no news, so that a connection that is gone is noticed.
const heartbeat = 15 * time.Second

// rowsAtOnce is how many rows are sent in one event, so that the first ones are there early.
const rowsAtOnce = 500

// serveEvents sends every part and every row, and then those that change, until the browser leaves.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	s := sender{w: w, parts: map[string]part{}, heads: map[string]string{}, rows: map[string]map[string]string{}}
	for {
		p.mu.Lock()
		parts, tables, changed := p.parts, p.tables, p.changed
		p.mu.Unlock()
		if s.send(parts, tables) != nil || flush.Flush() != nil {
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

// sender knows what a browser has.
type sender struct {
	w     io.Writer
	parts map[string]part
	heads map[string]string            // by table
	rows  map[string]map[string]string // by table and row
}

// send sends what the browser does not have.
func (s *sender) send(parts []part, tables []*table) error {
	there := map[string]bool{}
	for _, part := range parts {
		there[part.ID] = true
		if s.parts[part.ID] == part {
			continue
		}
		if err := s.part(part); err != nil {
			return err
		}
		s.parts[part.ID] = part
	}
	for id, old := range s.parts { // a run that began anew
		if old.In != "" && old.HTML != "" && !there[id] {
			if err := s.part(part{ID: id, In: old.In}); err != nil {
				return err
			}
			delete(s.parts, id)
		}
	}
	shown := map[string]bool{}
	for _, t := range tables {
		shown[t.ID] = true
		if err := s.table(t); err != nil {
			return err
		}
	}
	for id := range s.heads {
		if !shown[id] {
			if _, err := fmt.Fprintf(s.w, "event: gone\ndata: %q\n\n", id); err != nil {
				return err
			}
			delete(s.heads, id)
			delete(s.rows, id)
		}
	}
	return nil
}

func (s *sender) part(p part) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err // texts always marshal
	}
	_, err = fmt.Fprintf(s.w, "event: part\ndata: %s\n\n", data)
	return err
}

// table sends the head of a table when that is new or rows are gone, after which the browser has no rows; and the rows that it does not have.
func (s *sender) table(t *table) error {
	have := s.rows[t.ID]
	left := len(have)
	for _, r := range t.rows {
		if _, ok := have[r.id]; ok {
			left--
		}
	}
	if s.heads[t.ID] != t.head || left > 0 {
		if _, err := fmt.Fprintf(s.w, "event: table\ndata: %s\n\n", t.head); err != nil {
			return err
		}
		have = map[string]string{}
		s.heads[t.ID], s.rows[t.ID] = t.head, have
	}
	var texts []string
	flush := func() error {
		if len(texts) == 0 {
			return nil
		}
		_, err := fmt.Fprintf(s.w, "event: rows\ndata: {\"table\":%q,\"rows\":[%s]}\n\n", t.ID, strings.Join(texts, ","))
		texts = nil
		return err
	}
	for _, r := range t.rows {
		if have[r.id] == r.text {
			continue
		}
		have[r.id] = r.text
		if texts = append(texts, r.text); len(texts) == rowsAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
