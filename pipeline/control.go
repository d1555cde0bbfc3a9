package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Resources are what a stage takes of the machine while it computes. The engine trusts stages to keep to it, and runs stages
// side by side as long as all of them together fit.
type Resources struct {
	// Cores is how many processor cores the stage keeps busy. 0 means all of them, so that no other stage runs beside it.
	Cores int
	// Memory is how many bytes the stage needs at most. 0 counts as nothing.
	Memory int64
}

// defaultRetries is how often a stage is tried again, after errors that say that this may help.
const defaultRetries = 2

// control is what a document says of how a stage is run, apart from what it computes. None of it is part of its key.
type control struct {
	Retries   int           `yaml:"retries" doc:"How often the stage is tried again after an error that may pass, such as a lost connection."`
	Timeout   time.Duration `yaml:"timeout" doc:"How long the stage may take, such as 90m; 0 for as long as it needs."`
	Resources resources     `yaml:"resources" doc:"What the stage takes of the machine; stages that fit together run side by side."`
}

// resources is Resources as a document writes it.
type resources struct {
	Cores  int  `yaml:"cores" doc:"Cores that the stage keeps busy; 0 for all of them."`
	Memory size `yaml:"memory" doc:"Memory that the stage needs at most, such as 2GB; 0 counts as nothing."`
}

// controlDecl is the declaration of a stage's control, as settings are declared.
var controlDecl = options(reflect.TypeFor[control]())

// newControl returns the defaults for a stage of the kind.
func newControl(kind Kind) *control {
	return &control{Retries: defaultRetries, Resources: resources{Cores: kind.Resources.Cores, Memory: size(kind.Resources.Memory)}}
}

// readControl decodes what the document says into c.
func (st *stageSpec) readControl(c *control, f *findings) {
	d := decoder{f: f, owner: "stage " + st.id}
	d.structure(&node{kind: mapNode, at: st.at, pairs: st.control}, reflect.ValueOf(c).Elem(), "")
	for _, m := range []struct {
		path  string
		wrong bool
	}{{"retries", c.Retries < 0}, {"timeout", c.Timeout < 0}, {"resources.cores", c.Resources.Cores < 0}} {
		n := (&stageSpec{settings: &node{kind: mapNode, pairs: st.control}}).lookup(m.path)
		if m.wrong && n != nil {
			f.add(n.at, "", "%s must not be negative, found %s", m.path, n.describe())
		}
	}
}

// size is a number of bytes that documents write as 512MB, 2GiB or 1000.
type size int64

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes: "1000", "512MB" (millions), "1.5GiB" (2 to the 30th).
func ParseSize(text string) (int64, error) {
	text = strings.TrimSpace(text)
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || v < 0 || v*u.bytes >= 1<<63 {
			break
		}
		return int64(v * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no amount of memory; write a number and a unit, such as 512MB or 2GiB", text)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	*s = size(v)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s size) MarshalText() ([]byte, error) { return []byte(strconv.FormatInt(int64(s), 10)), nil }

// Retryable marks an error as one that may pass: a lost connection, a busy server. The engine tries the stage again, from its
// checkpoint, as often as the document allows. Retryable(nil) is nil.
func Retryable(err error) error {
	if err == nil {
		return nil
	}
	return &retryableError{err}
}

type retryableError struct{ err error }

func (e *retryableError) Error() string   { return e.err.Error() }
func (e *retryableError) Unwrap() error   { return e.err }
func (e *retryableError) Retryable() bool { return true }

// isRetryable says whether an error, or one that it wraps, has a method Retryable that says true.
func isRetryable(err error) bool {
	var r interface{ Retryable() bool }
	return errors.As(err, &r) && r.Retryable()
}
