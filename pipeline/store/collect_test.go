package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// result puts a record with one object, which has the key's first letter so many times, into the store.
func result(t *testing.T, s *store.Store, letter string, size int, age time.Duration) (key string) {
	t.Helper()
	key = strings.Repeat(letter, 64)
	r := &store.Record{Key: key, Document: "d", Stage: letter, Kind: "k", Settings: []byte(`{}`), Finished: time.Now().Add(-age).UTC().Truncate(time.Second)}
	if size > 0 {
		r.Outputs = []store.Output{put(t, s, strings.Repeat(letter, size))}
	}
	if err := s.PutRecord(r); err != nil {
		t.Fatal(err)
	}
	return key
}

// left lists the letters of the records that are in the store, each with its object.
func left(t *testing.T, s *store.Store) string {
	t.Helper()
	var out string
	for _, letter := range []string{"a", "b", "c", "d", "e", "f"} {
		r, err := s.Record(strings.Repeat(letter, 64))
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			continue
		}
		for _, o := range r.Outputs {
			if err := s.Verify(o.Digest); err != nil {
				t.Errorf("record %s: %v", letter, err)
			}
		}
		out += letter
	}
	return out
}

func collect(t *testing.T, s *store.Store, o store.CollectOptions) *store.Collected {
	t.Helper()
	c, err := s.Collect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatARunNamesStays(t *testing.T) {
	s := open(t)
	a, b := result(t, s, "a", 10, time.Hour), result(t, s, "b", 20, time.Hour)
	result(t, s, "c", 40, time.Hour)
	there, gone, unmounted := t.TempDir(), filepath.Join(t.TempDir(), "gone"), filepath.Join(t.TempDir(), "disk", "run")
	d := result(t, s, "d", 80, time.Hour)
	for _, r := range []store.Run{{Dir: there, Keys: []string{a}}, {Dir: gone, Keys: []string{b}}, {Dir: unmounted, Keys: []string{d}}} {
		if err := s.PutRun(r); err != nil {
			t.Fatal(err)
		}
	}
	dry := collect(t, s, store.CollectOptions{DryRun: true})
	if got := left(t, s); got != "abcd" {
		t.Errorf("a dry run left %s", got)
	}
	c := collect(t, s, store.CollectOptions{})
	if got := left(t, s); got != "ad" {
		t.Errorf("left %s", got)
	}
	want := store.Collected{Before: 150, After: 90, Records: 2, Objects: 2, Scratch: 1, Runs: 1, Named: 2} // the folder in which put writes is one of scratch
	if *c != want || *dry != want {
		t.Errorf("got %+v, dry %+v, want %+v", *c, *dry, want)
	}
}

// The run's own file may be newer than the store's note of it.
func TestWhatTheRunsFileNamesStays(t *testing.T) {
	s := open(t)
	a := result(t, s, "a", 10, 0)
	loose := put(t, s, "loose")
	dir := t.TempDir()
	if err := s.PutRun(store.Run{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "run.json"), fmt.Sprintf(`{"stages": [{"key": %q}, {"outputs": [{"digest": %q}]}]}`, a, loose.Digest))
	collect(t, s, store.CollectOptions{})
	if left(t, s) != "a" || !s.Has(loose.Digest) {
		t.Errorf("left %s", left(t, s))
	}
}

func TestASizeLimitRemovesTheOldest(t *testing.T) {
	for limit, want := range map[int64]string{1: "a", 10: "a", 29: "a", 30: "ac", 45: "ac", 60: "abc", 0: "a"} {
		s := open(t)
		dir := t.TempDir()
		if err := s.PutRun(store.Run{Dir: dir, Keys: []string{result(t, s, "a", 10, 9*time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		result(t, s, "b", 30, 2*time.Hour)
		result(t, s, "c", 20, time.Hour)
		collect(t, s, store.CollectOptions{MaxBytes: limit})
		if got := left(t, s); got != want {
			t.Errorf("limit %d: left %s, want %s", limit, got, want)
		}
	}
}

func TestYoungResultsStay(t *testing.T) {
	s := open(t)
	result(t, s, "a", 10, 3*time.Hour)
	result(t, s, "b", 10, time.Minute)
	if _, err := s.Work("young", false); err != nil {
		t.Fatal(err)
	}
	collect(t, s, store.CollectOptions{Age: time.Hour})
	if _, err := os.Stat(filepath.Join(s.Dir(), "scratch", "young")); err != nil || left(t, s) != "b" {
		t.Errorf("left %s, %v", left(t, s), err)
	}
}

func TestCheckpointsThatNoRunNamesAreRemoved(t *testing.T) {
	s := open(t)
	for _, key := range []string{"named", "loose"} {
		w, err := s.Work(key, false)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(w.Checkpoint, "epoch"), "3")
	}
	if err := s.PutRun(store.Run{Dir: t.TempDir(), Keys: []string{"named"}}); err != nil {
		t.Fatal(err)
	}
	c := collect(t, s, store.CollectOptions{})
	if !s.HasCheckpoint("named") || s.HasCheckpoint("loose") || c.Scratch != 1 || c.Before != 2 || c.After != 1 {
		t.Errorf("%+v", c)
	}
}

func TestNothingIsRemovedWhileARunUsesTheStore(t *testing.T) {
	s := open(t)
	result(t, s, "a", 10, 0)
	one, err := s.Use(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Use(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	one()
	if _, err := s.Collect(t.Context(), store.CollectOptions{}); !errors.Is(err, store.ErrInUse) || left(t, s) != "a" {
		t.Errorf("error %v, left %s", err, left(t, s))
	}
	two()
	if collect(t, s, store.CollectOptions{}); left(t, s) != "" {
		t.Errorf("left %s", left(t, s))
	}
}

// A note of a run that cannot be read may name anything, so nothing is removed.
func TestADamagedNoteOfARunStopsTheCollection(t *testing.T) {
	s := open(t)
	result(t, s, "a", 10, 0)
	if err := s.PutRun(store.Run{Dir: t.TempDir(), Keys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	notes, err := filepath.Glob(filepath.Join(s.Dir(), "runs", "*"))
	if err != nil || len(notes) != 1 {
		t.Fatal(notes, err)
	}
	damage(t, notes[0], func(b []byte) []byte { return b[:len(b)/2] })
	if _, err := s.Collect(t.Context(), store.CollectOptions{}); err == nil || !strings.Contains(err.Error(), notes[0]) || left(t, s) != "a" {
		t.Errorf("error %v, left %s", err, left(t, s))
	}
}

// debris is what a store may hold: results by letter, and which of them a run names.
type debris struct {
	sizes, hours map[string]int
	named        []string
	limit        int64
	young        int // hours
}

var debrisOfAnyKind = rapid.Custom(func(t *rapid.T) debris {
	d := debris{sizes: map[string]int{}, hours: map[string]int{}, limit: rapid.Int64Range(0, 120).Draw(t, "limit"), young: rapid.IntRange(0, 5).Draw(t, "young")}
	for _, l := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}), rapid.ID[string]).Draw(t, "results") {
		d.sizes[l], d.hours[l] = rapid.IntRange(0, 30).Draw(t, "size"), rapid.IntRange(0, 9).Draw(t, "age")
		if rapid.Bool().Draw(t, "named") {
			d.named = append(d.named, l)
		}
	}
	return d
})

// Whatever runs name and whatever the limit: what is named stays whole, and what stays is whole.
func TestNoCollectionBreaksTheStore(t *testing.T) {
	for seed := range 25 { // each writes files, so these are fewer than a property's usual hundred
		d := debrisOfAnyKind.Example(seed)
		s := open(t)
		for l, size := range d.sizes {
			result(t, s, l, size, time.Duration(d.hours[l])*time.Hour)
		}
		var keys []string
		for _, l := range d.named {
			keys = append(keys, strings.Repeat(l, 64))
		}
		if err := s.PutRun(store.Run{Dir: t.TempDir(), Keys: keys}); err != nil {
			t.Fatal(err)
		}
		c := collect(t, s, store.CollectOptions{MaxBytes: d.limit, Age: time.Duration(d.young) * time.Hour})
		got := strings.Split(left(t, s), "")
		for _, l := range d.named {
			if !slices.Contains(got, l) {
				t.Errorf("%s was named and is gone; %+v of %+v", l, c, d)
			}
		}
		if again := collect(t, s, store.CollectOptions{MaxBytes: 1 << 40, DryRun: true}); again.Before != c.After {
			t.Errorf("%d bytes are left, it said %d; %+v", again.Before, c.After, d)
		}
	}
}
