package store

import (
	"fmt"
	"maps"
)

// latestFile says for the stages of a document under which key each finished last. It serves explanations only.
type latestFile struct {
	keys  map[string]string // by stage, as on disk and with what this process has set
	fresh map[string]string // what this process has set and not written yet
}

// SetLatest notes that the stage of the document finished last under key. It is written with [Store.SaveHints].
func (s *Store) SetLatest(document, stage, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.latestOf(document)
	if l.keys[stage] != key {
		l.keys[stage], l.fresh[stage] = key, key
	}
}

// LatestKey returns the key under which the stage of the document finished last: "" when there is none.
func (s *Store) LatestKey(document, stage string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latestOf(document).keys[stage]
}

// Latest returns the record under which the stage of the document finished last: nil when there is none. A damaged
// one counts as none; it only serves to explain what has changed.
func (s *Store) Latest(document, stage string) *Record {
	key := s.LatestKey(document, stage)
	if key == "" {
		return nil
	}
	r, err := s.Record(key)
	if err != nil {
		return nil
	}
	return r
}

// latestOf returns the document's file. The caller holds the mutex.
func (s *Store) latestOf(document string) *latestFile {
	l := s.latest[document]
	if l == nil {
		l = &latestFile{keys: s.readLatest(document), fresh: map[string]string{}}
		s.latest[document] = l
	}
	return l
}

// readLatest reads the file of a document. One that cannot be read counts as empty.
func (s *Store) readLatest(document string) map[string]string {
	keys := map[string]string{}
	if _, err := s.readSealed(s.latestPath(document), "latest "+document, &keys); err != nil || keys == nil {
		return map[string]string{}
	}
	return keys
}

// saveLatest writes what has been set. Another process may have written the file meanwhile, so it is read again; should both write
// at the same moment, one's notes are lost, which costs an explanation.
func (s *Store) saveLatest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for document, l := range s.latest {
		if len(l.fresh) == 0 {
			continue
		}
		keys := s.readLatest(document)
		maps.Copy(keys, l.fresh)
		if err := s.writeSealed(s.latestPath(document), keys); err != nil {
			return fmt.Errorf("noting the latest results of document %s: %w", document, err)
		}
		l.keys, l.fresh = keys, map[string]string{}
	}
	return nil
}

func (s *Store) latestPath(document string) string { return s.path("latest", document+".json") }
