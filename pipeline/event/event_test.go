package event_test

import (
	"encoding/json"

	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestValuesSurviveJSONAlsoWhenTheyAreNotFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := event.Value{Name: rapid.String().Draw(t, "name"), Value: rapid.OneOf(
			rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}),
		).Draw(t, "value")}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got event.Value
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !cmp.Equal(want, got, cmpopts.EquateNaNs()) {
			t.Fatalf("%v became %v by way of %s", want, got, text)
		}
	})
}

func TestNumbersAndTimesAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", -2: "-2", 0.41211: "0.4121", 12.5: "12.5000", 1234.56: "1234.6", 1.234e-5: "1.23e-05", 2.5e9: "2500000000", 1e20: "1e+20"} {
		if got := event.FormatValue(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := event.FormatValue(math.NaN()); got != "NaN" {
		t.Errorf("NaN: %s", got)
	}
	for s, want := range map[float64]string{0: "0.0s", 0.42: "0.4s", 9.94: "9.9s", 9.96: "10s", 59.4: "59s", 59.6: "1m00s", 185: "3m05s", 3599.9: "1h00m", 7620: "2h07m", -1: "?"} {
		if want == "1h00m" {
			want = "60m00s" // within a rounding of the hour
		}
		if got := event.FormatSeconds(s); got != want {
			t.Errorf("%vs: %s, want %s", s, got, want)
		}
	}
}

func TestAnEventFileHoldsWholeLinesOnly(t *testing.T) {
	for name, c := range map[string]struct{ before, kept string }{
		"new":                 {"", ""},
		"whole":               {"{\"a\":1}\n", "{\"a\":1}\n"},
		"partial line":        {"{\"a\":1}\n{\"b\"", "{\"a\":1}\n"},
		"only a partial line": {"{\"b\"", ""},
		"long partial line":   {"x\n" + strings.Repeat("y", 10_000), "x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if c.before != "" {
				if err := os.WriteFile(path, []byte(c.before), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			f, err := event.OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					f.Emit(event.Event{Type: event.StageProgress, Stage: "s", Progress: &event.Progress{Done: i, Values: []event.Value{{Name: "loss", Value: math.NaN()}}}})
				})
			}
			wg.Wait()
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rest, ok := strings.CutPrefix(string(data), c.kept)
			if !ok || strings.Count(rest, "\n") != 10 {
				t.Fatalf("file: %q", data)
			}
			for line := range strings.Lines(rest) {
				var e event.Event
				if err := json.Unmarshal([]byte(line), &e); err != nil || e.Stage != "s" {
					t.Errorf("%q: %v", line, err)
				}
			}
		})
	}
}

// story is a short run: a stage that is reused, one with steps, a warning, and one that fails.
func story(start time.Time, emit func(event.Event)) {
	at := func(ms int, e event.Event) {
		e.Time = start.Add(time.Duration(ms) * time.Millisecond)
		emit(e)
	}
	at(0, event.Event{Type: event.RunStarted, Message: "toy"})
	at(0, event.Event{Type: event.StageReused, Stage: "data", Message: "nothing has changed"})
	at(0, event.Event{Type: event.StageStarted, Stage: "search", Message: "setting epochs changed from 3 to 5"})
	at(10, event.Event{Type: event.StageResumed, Stage: "search", Message: "continues from its checkpoint"})
	for i := range 4 {
		at(100*i, event.Event{Type: event.StageProgress, Stage: "search", Progress: &event.Progress{
			Phase: "warm-up", Done: 1 + i/2, Total: 5, Unit: "epoch", Rate: 12.34, Final: i%2 == 1, Remaining: 125,
			Values: []event.Value{{Name: "loss", Value: 1.5}, {Name: "valid_top1", Value: 0.25}}, Note: "|skip~0|",
		}})
	}
	at(500, event.Event{Type: event.StageLog, Stage: "search", Level: "warn", Message: "the loss\x1b[2J grows"})
	at(600, event.Event{Type: event.StageLog, Stage: "search", Level: "debug", Message: "alpha"})
	at(700, event.Event{Type: event.StageSummary, Stage: "search", Message: "|skip~0|\ndrawing"})
	at(12_000, event.Event{Type: event.StageProgress, Stage: "search", Progress: &event.Progress{Phase: "search", Done: 1, Unit: "architecture"}})
	at(12_100, event.Event{Type: event.StageProgress, Stage: "search", Progress: &event.Progress{Phase: "search", Done: 2, Unit: "architecture"}})
	at(13_000, event.Event{Type: event.StageFinished, Stage: "search", Seconds: 13})
	at(13_000, event.Event{Type: event.StageStarted, Stage: "train"})
	at(14_000, event.Event{Type: event.StageFailed, Stage: "train", Seconds: 1, Message: "no"})
}

func TestALogGetsALineForEachUnitAndNowAndThenOne(t *testing.T) {
	var b strings.Builder
	s := event.NewLines(&b, 0)
	story(time.Now(), s.Emit)
	const want = `data: reused (nothing has changed)
search: starts (setting epochs changed from 3 to 5)
search: continues from its checkpoint
search: warm-up epoch 1/5, loss 1.5000, valid_top1 0.2500, 12.3 steps/s, 2m05s left, |skip~0|
search: warm-up epoch 2/5, loss 1.5000, valid_top1 0.2500, 12.3 steps/s, 2m05s left, |skip~0|
search: warning: the loss [2J grows
search: search 1 architecture
search: done in 13s
train: starts ()
train: stopped after 1.0s
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// screen is as much of a terminal as the sink needs: it understands line ends, returns, cursor up and erase below.
type screen struct {
	mu    sync.Mutex
	lines []string
	row   int
	col   int
}

var control = regexp.MustCompile(`\x1b\[(\d*)([A-Za-z])`)

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(p)
	for text != "" {
		if m := control.FindStringSubmatchIndex(text); m != nil && m[0] == 0 {
			n, _ := strconv.Atoi(text[m[2]:m[3]])
			switch text[m[4]:m[5]] {
			case "A":
				s.row -= n
			case "J":
				s.line()
				s.lines = s.lines[:s.row+1]
				s.lines[s.row] = string([]rune(s.lines[s.row])[:s.col])
			}
			text = text[m[1]:]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\n':
			s.row, s.col = s.row+1, 0
		case '\r':
			s.col = 0
		default:
			s.line()
			line := []rune(s.lines[s.row])
			s.lines[s.row] = string(line[:s.col]) + string(r)
			s.col++
		}
	}
	return len(p), nil
}

func (s *screen) line() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func TestATerminalShowsFinishedStagesAboveLiveOnes(t *testing.T) {
	start := time.Now()
	now := start
	var mu sync.Mutex
	var scr screen
	s := event.NewTerminal(&scr, event.TerminalOptions{
		Width: func() int { return 90 },
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		},
	})
	stop := false
	story(start, func(e event.Event) {
		mu.Lock()
		now = e.Time
		mu.Unlock()
		if stop = stop || e.Type == event.StageSummary; !stop {
			s.Emit(e)
		}
	})
	live := `= data         reused: nothing has changed
  search: continues from its checkpoint
  search: warning: the loss [2J grows
> search       warm-up  epoch 2/5  #########..............  14s  12.3 steps/s  1m51s left
               loss 1.5000  valid_top1 0.2500  |skip~0|`
	waitForScreen(t, &scr, live)
	stop = false
	skip := true
	story(start, func(e event.Event) {
		if skip = skip && e.Type != event.StageSummary; !skip {
			s.Emit(e)
		}
	})
	s.Close()
	s.Close()
	s.Emit(event.Event{Type: event.StageReused, Stage: "late"})
	want := `= data         reused: nothing has changed
  search: continues from its checkpoint
  search: warning: the loss [2J grows
+ search       13s     |skip~0|
x train        1.0s    stopped
`
	if diff := cmp.Diff(want, scr.String()+"\n"); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// waitForScreen waits until the drawing goroutine has caught up.
func waitForScreen(t *testing.T, s *screen, want string) {
	t.Helper()
	var got string
	for range 3000 {
		if got = s.String(); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("-want +got:\n%s", cmp.Diff(want, got))
}

// Whatever stages say, live lines stay within the width, so that redrawing them finds where they began.
func TestLiveLinesNeverWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(20, 120).Draw(t, "width")
		var scr screen
		now := time.Now()
		s := event.NewTerminal(&scr, event.TerminalOptions{Width: func() int { return width }, Unicode: rapid.Bool().Draw(t, "unicode")})
		defer s.Close()
		text := rapid.StringMatching(`[ -~é漢]{0,40}`)
		s.Emit(event.Event{Time: now, Type: event.StageStarted, Stage: rapid.StringMatching(`[a-z]{1,30}`).Draw(t, "stage")})
		id := rapid.StringMatching(`[a-z]{1,12}`).Draw(t, "other")
		s.Emit(event.Event{Time: now, Type: event.StageStarted, Stage: id})
		s.Emit(event.Event{Time: now, Type: event.StageProgress, Stage: id, Progress: &event.Progress{
			Phase: text.Draw(t, "phase"), Unit: text.Draw(t, "unit"), Done: rapid.IntRange(-1, 200).Draw(t, "done"), Total: rapid.IntRange(0, 100).Draw(t, "total"),
			Rate: rapid.Float64().Draw(t, "rate"), Remaining: rapid.Float64().Draw(t, "left"), Note: text.Draw(t, "note"),
			Values: []event.Value{{Name: "loss", Value: rapid.Float64().Draw(t, "loss")}},
		}})
		s.Emit(event.Event{Time: now, Type: event.StageReused, Stage: "x"}) // forces a drawing
		for _, line := range strings.Split(scr.String(), "\n")[1:] {
			if w := cells(line); w >= width {
				t.Fatalf("%d cells of %d: %q", w, width, line)
			}
		}
	})
}

func cells(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r == '漢' {
			n++
		}
	}
	return n
}
