package history

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/plateau-nas/plateau/pipeline/store"
)

//go:embed schema.sql
var schema string

// layout is the number of the tables' layout.
const layout = 1

// patience is how long a process waits for another that is writing.
const patience = 10 * time.Second

// History is an open database. Its methods may be called from several goroutines, and several processes may have it open.
type History struct {
	store *store.Store
	path  string
	db    *sql.DB
	note  func(string)
}

// Open opens the history of a store, and makes it when there is none. One that is damaged is set aside, in the store's folder
// corrupt, and made anew from the run directories. note, which may be nil, is told of that.
func Open(ctx context.Context, st *store.Store, note func(string)) (*History, error) {
	h := &History{store: st, path: filepath.Join(st.Dir(), "history.sqlite"), note: note}
	if h.note == nil {
		h.note = func(string) {}
	}
	if err := h.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the run history %s: %w", h.path, err)
	}
	return h, nil
}

// Close closes the database.
func (h *History) Close() error {
	if err := h.db.Close(); err != nil {
		return fmt.Errorf("closing the run history %s: %w", h.path, err)
	}
	return nil
}

// open opens the database, one process at a time: two that find it damaged must not each set the other's new one aside.
func (h *History) open(ctx context.Context) error {
	l := flock.New(filepath.Join(h.store.Dir(), "locks", "history.lock"))
	if _, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("waiting for another process to open it: %w", err)
	}
	defer func() { _ = l.Close() }()
	_, err := os.Stat(h.path)
	isNew := errors.Is(err, fs.ErrNotExist)
	problem, err := h.connect(ctx)
	if err != nil {
		return err
	}
	if problem != "" {
		aside, err := h.setAside()
		if err != nil {
			return fmt.Errorf("it is damaged (%s) and cannot be set aside: %w; remove it", problem, err)
		}
		h.note(fmt.Sprintf("the run history was damaged (%s) and is made anew from the run directories; the damaged file is %s", problem, aside))
		isNew = true
		if problem, err = h.connect(ctx); err != nil || problem != "" {
			return errors.Join(errors.New(problem), err)
		}
	}
	if isNew {
		if err := h.Sync(ctx); err != nil {
			return errors.Join(err, h.db.Close())
		}
	}
	return nil
}

// connect opens the file, and says what is wrong with it when it is damaged; then it is closed again.
func (h *History) connect(ctx context.Context) (problem string, err error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(h.path), RawQuery: url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)",
		},
		"_txlock": {"immediate"},
	}.Encode()}
	h.db, err = sql.Open("sqlite", name.String())
	if err != nil {
		return "", err
	}
	h.db.SetMaxOpenConns(1)
	problem, err = h.prepare(ctx)
	if damaged(err) {
		problem, err = err.Error(), nil
	}
	if err != nil || problem != "" {
		return problem, errors.Join(err, h.db.Close())
	}
	return "", nil
}

// prepare checks the file and makes the tables in a new one.
func (h *History) prepare(ctx context.Context) (problem string, err error) {
	var number, tables int
	if err := h.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&number); err != nil {
		return "", err
	}
	if err := h.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return "", err
	}
	switch {
	case tables == 0 && number == 0:
		_, err := h.db.ExecContext(ctx, "BEGIN IMMEDIATE;"+schema+fmt.Sprintf("PRAGMA user_version = %d; COMMIT;", layout))
		return "", err
	case number != layout:
		return fmt.Sprintf("its layout is %d and this version of plateau knows %d", number, layout), nil
	}
	var verdict string
	if err := h.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return "", err
	}
	if verdict != "ok" {
		return verdict, nil
	}
	return "", nil
}

// setAside moves the damaged file away, and removes what belongs to it. It returns where the file is now.
func (h *History) setAside() (string, error) {
	to := filepath.Join(h.store.Dir(), "corrupt", "history-"+time.Now().UTC().Format("20060102T150405.000000000")+".sqlite")
	if err := os.Rename(h.path, to); err != nil {
		return "", err
	}
	for _, part := range []string{"-wal", "-shm"} {
		if err := os.Remove(h.path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return to, nil
}

// damaged says whether SQLite took the file for broken.
func damaged(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff { // the rest tells kinds of one error apart
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// change runs fn in a transaction, which ends with it.
func (h *History) change(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
