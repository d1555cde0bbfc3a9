package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a text as a stage would and returns its digest.
func put(t *testing.T, s *store.Store, text string) store.Output {
	t.Helper()
	w, err := s.Work("k", true)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.Outputs, "out.txt")
	write(t, path, text)
	digest, size, err := s.Put(path)
	if err != nil {
		t.Fatal(err)
	}
	return store.Output{Name: "out", Type: "text", File: "out.txt", Digest: digest, Size: size}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// damage changes a stored file in place, which its mode is meant to prevent.
func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o644); err != nil {
		t.Fatal(err)
	}
	// The stat cache goes by size and time; a real flip of a bit on disk changes neither, but then no process has it cached.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func TestAnObjectIsFoundUnderTheHashOfItsBytes(t *testing.T) {
	s := open(t)
	o := put(t, s, "abc")
	if o.Digest != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || o.Size != 3 {
		t.Errorf("put: %+v", o)
	}
	info, err := os.Stat(s.ObjectPath(o.Digest))
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("object: %v, %v", info, err)
	}
	again := put(t, s, "abc")
	if again != o || s.Verify(o.Digest) != nil {
		t.Errorf("the same bytes again: %+v", again)
	}
	dst := filepath.Join(t.TempDir(), "copy")
	if err := s.CopyTo(o.Digest, filepath.Dir(dst), dst); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(dst); err != nil || string(data) != "abc" {
		t.Errorf("copy: %q, %v", data, err)
	}
	// A copy, not a link: whoever edits it leaves the store alone.
	write(t, dst, "xyz")
	if err := s.Verify(o.Digest); err != nil {
		t.Error(err)
	}
}

func TestADamagedObjectIsSetAsideAndNeverUsed(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[1] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:2] },
		"emptied":   func(b []byte) []byte { return nil },
		"extended":  func(b []byte) []byte { return append(b, 'd') },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			o := put(t, s, "abc")
			damage(t, s.ObjectPath(o.Digest), change)
			err := s.CopyTo(o.Digest, t.TempDir(), filepath.Join(t.TempDir(), "copy"))
			var corrupt *store.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("error: %v", err)
			}
			if _, err := os.Stat(corrupt.Aside); err != nil {
				t.Errorf("the damaged file was not kept: %v", err)
			}
			if s.Has(o.Digest) || !errors.Is(s.Verify(o.Digest), store.ErrMissing) {
				t.Error("the damaged object can still be used")
			}
			if got := put(t, s, "abc"); got != o || s.Verify(o.Digest) != nil {
				t.Error("it cannot be stored anew")
			}
		})
	}
}

func TestARecordReadsBackEqual(t *testing.T) {
	s := open(t)
	want := &store.Record{
		Key: strings.Repeat("a", 64), Document: "toy", Stage: "data", Kind: "numbers", Version: 2,
		Settings: []byte(`{"a":"<&>","b":1e-05}`), Seed: 1<<64 - 1,
		Inputs:      []store.Input{{Port: "p", Stage: "s", Kind: "k", Output: "o", Type: "t", Digest: "d"}},
		Fingerprint: map[string]string{"file": "1"},
		Outputs:     []store.Output{put(t, s, "abc")},
		Metrics:     []event.Value{{Name: "loss", Value: 0.1}}, Summary: "two\nlines", Seconds: 1.5,
		Finished: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
	if err := s.PutRecord(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Record(want.Key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if latest := s.Latest("toy", "data"); latest == nil || latest.Key != want.Key {
		t.Errorf("latest: %v", latest)
	}
	if none, err := s.Record(strings.Repeat("b", 64)); none != nil || err != nil {
		t.Errorf("an unknown key: %v, %v", none, err)
	}
}

func TestARecordOfWhatIsNotThereIsRefused(t *testing.T) {
	s := open(t)
	err := s.PutRecord(&store.Record{Key: "k", Outputs: []store.Output{{Digest: "sha256:" + strings.Repeat("0", 64)}}})
	if !errors.Is(err, store.ErrMissing) {
		t.Errorf("error: %v", err)
	}
}

// Every single flipped bit in a record, and every truncation, is noticed or makes no difference.
func TestNoDamageToARecordGoesUnnoticed(t *testing.T) {
	s := open(t)
	key := strings.Repeat("c", 64)
	want := &store.Record{Key: key, Document: "d", Stage: "s", Kind: "k", Settings: []byte(`{}`), Outputs: []store.Output{put(t, s, "abc")}, Summary: "x"}
	if err := s.PutRecord(want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), "stages", key[:2], key+".json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		write(t, path, string(data))
		got, err := s.Record(key)
		var corrupt *store.CorruptError
		if errors.As(err, &corrupt) {
			return
		}
		if err != nil || !cmp.Equal(want, got) {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		check(fmt.Sprintf("byte %d flipped", i), flipped)
		if i%7 == 0 {
			check(fmt.Sprintf("truncated to %d", i), whole[:i])
		}
	}
}

func TestAFolderWithOtherThingsIsNoStore(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "thesis.tex"), "")
	if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("error: %v", err)
	}
	write(t, filepath.Join(dir, "format"), "plateau store 99\n")
	if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), "plateau store 99") {
		t.Errorf("error: %v", err)
	}
	file := filepath.Join(dir, "thesis.tex")
	if _, err := store.Open(file); err == nil {
		t.Error("a file was taken for a store")
	}
}

func TestAStoreThatCannotBeWrittenIsRefusedAtOnce(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("permissions do not bind this user")
	}
	s := open(t)
	tmp := filepath.Join(s.Dir(), "tmp")
	if err := os.Chmod(tmp, 0o555); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(tmp, 0o755) }()
	if _, err := store.Open(s.Dir()); err == nil || !strings.Contains(err.Error(), "--store") {
		t.Errorf("error: %v", err)
	}
}

func TestOneAtATimeHoldsTheLockOfAKey(t *testing.T) {
	s := open(t)
	unlock, err := s.Lock(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Lock(t.Context(), "other", nil)
	if err != nil {
		t.Fatal(err)
	}
	other()
	waiting := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		unlock, err := s.Lock(t.Context(), "k", func() { close(waiting) })
		if err == nil {
			unlock()
		}
		got <- err
	}()
	<-waiting
	select {
	case err := <-got:
		t.Fatalf("two held the lock at once: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestWaitingForALockEndsWithTheContext(t *testing.T) {
	s := open(t)
	unlock, err := s.Lock(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Lock(ctx, "k", cancel)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

func TestScratchKeepsTheCheckpointAndClearsTheOutputs(t *testing.T) {
	s := open(t)
	w, err := s.Work("k", false)
	if err != nil {
		t.Fatal(err)
	}
	if s.HasCheckpoint("k") {
		t.Error("an empty folder is no checkpoint")
	}
	write(t, filepath.Join(w.Checkpoint, "sub", "epoch"), "3")
	write(t, filepath.Join(w.Outputs, "half"), "x")
	if !s.HasCheckpoint("k") {
		t.Error("the checkpoint is not seen")
	}
	if w, err = s.Work("k", false); err != nil {
		t.Fatal(err)
	}
	if !s.HasCheckpoint("k") {
		t.Error("the checkpoint is gone")
	}
	if _, err := os.Stat(filepath.Join(w.Outputs, "half")); err == nil {
		t.Error("a half-written output is still there")
	}
	if _, err = s.Work("k", true); err != nil || s.HasCheckpoint("k") {
		t.Errorf("a fresh start keeps the checkpoint: %v", err)
	}
	if err := w.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "scratch", "k")); err == nil {
		t.Error("the folder is still there")
	}
}

// Whoever comes while another makes the store finds either nothing or a store, at whatever moment it looks.
func TestAStoreMadeByManyAtOnceOpensForAll(t *testing.T) {
	for i := range 100 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := store.Open(dir); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// Many writers of overlapping objects and records leave a store in which everything is right.
func TestWritersSideBySideLeaveAStoreThatIsRight(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for i := range 8 {
		wg.Go(func() {
			errs <- func() error {
				s, err := store.Open(dir)
				if err != nil {
					return err
				}
				for j := range 6 {
					w, err := s.Work(fmt.Sprintf("%d", i), true)
					if err != nil {
						return err
					}
					path := filepath.Join(w.Outputs, "o")
					if err := os.WriteFile(path, fmt.Appendf(nil, "object %d", j), 0o666); err != nil {
						return err
					}
					digest, size, err := s.Put(path)
					if err != nil {
						return err
					}
					key := fmt.Sprintf("%064d", j)
					o := []store.Output{{Name: "o", File: "o", Digest: digest, Size: size}}
					if err := s.PutRecord(&store.Record{Key: key, Document: "d", Stage: "s", Settings: []byte("{}"), Outputs: o}); err != nil {
						return err
					}
				}
				return nil
			}()
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for j := range 6 {
		r, err := s.Record(fmt.Sprintf("%064d", j))
		if err != nil || r == nil || s.Verify(r.Outputs[0].Digest) != nil {
			t.Errorf("record %d: %v, %v", j, r, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "corrupt")); err != nil || len(left) > 0 {
		t.Errorf("set aside: %v, %v", left, err)
	}
}
