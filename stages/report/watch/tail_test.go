package watch

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/event"
)

func drawEvent(t *rapid.T) event.Event {
	text := rapid.String()
	value := rapid.Custom(func(t *rapid.T) event.Value {
		return event.Value{Name: text.Draw(t, "name"), Value: rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 5e-324})).Draw(t, "value")}
	})
	e := event.Event{
		Time: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond")).UTC(),
		Type: event.Type(text.Draw(t, "type")), Run: text.Draw(t, "run"), Stage: text.Draw(t, "stage"), Message: text.Draw(t, "message"),
		Seconds: rapid.Float64().Draw(t, "seconds"), Values: rapid.SliceOfN(value, 0, 3).Draw(t, "values"),
	}
	if rapid.Bool().Draw(t, "progress") {
		e.Progress = &event.Progress{
			Phase: text.Draw(t, "phase"), Done: rapid.Int().Draw(t, "done"), Unit: text.Draw(t, "unit"), Rate: rapid.Float64().Draw(t, "rate"), Final: rapid.Bool().Draw(t, "final"),
			Note: text.Draw(t, "note"), Values: rapid.SliceOfN(value, 0, 3).Draw(t, "progress values"),
			Tables: []event.Table{{Name: text.Draw(t, "table"), Rows: []string{"a"}, Columns: []string{"b", "c"}, Values: [][]float64{{0.25, rapid.Float64().Draw(t, "share")}}}},
		}
	}
	return e
}

// The decoder of the tail, which is chosen for its speed, reads what the standard library reads; and it passes over lines that are damaged.
func TestTheTailReadsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	rapid.Check(t, func(t *rapid.T) {
		line, err := json.Marshal(drawEvent(t))
		if err != nil {
			t.Fatal(err)
		}
		var want event.Event
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte{}, line...)
		for range rapid.IntRange(1, 5).Draw(t, "damages") {
			at := rapid.IntRange(0, len(damaged)-1).Draw(t, "at")
			if damaged[at] = rapid.Byte().Draw(t, "byte"); damaged[at] == '\n' {
				damaged[at] = '{'
			}
			if rapid.Bool().Draw(t, "cut") && at > 0 {
				damaged = damaged[:at]
			}
		}
		file := append(append(append(append(line, '\n'), damaged...), '\n'), append(line, '\n')...)
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		var got []event.Event
		reader := tail{path: path}
		if _, err := reader.read(func(e event.Event) { got = append(got, e) }, func() {}); err != nil {
			t.Fatal(err)
		}
		if len(got) < 2 {
			t.Fatalf("%d events of 2 whole lines", len(got))
		}
		for _, e := range []event.Event{got[0], got[len(got)-1]} {
			if diff := cmp.Diff(want, e, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		}
	})
}

// However many points a curve gets, it keeps few, and among them the first, the last and the extremes of every value.
func TestCurvesStayShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20_000).Draw(t, "points")
		peak := rapid.IntRange(1, n).Draw(t, "peak")
		var c curves
		for step := 1; step <= n; step++ {
			v := []event.Value{{Name: "a", Value: math.Sin(float64(step))}, {Name: "b", Value: 1 / float64(step)}}
			if step == peak {
				v[0].Value = 10
			}
			c.add(&event.Progress{Unit: "evaluation", Done: step, Final: true, Values: v}, step == 1)
		}
		k := c.units[0]
		if len(k.points) > 2*keptPoints || len(k.points) < min(n, keptPoints/4) {
			t.Fatalf("%d of %d points are kept", len(k.points), n)
		}
		shown := thin(k.points, len(k.names), shownPoints)
		if len(shown) > shownPoints+2 {
			t.Fatalf("%d points are shown", len(shown))
		}
		high := math.Inf(-1)
		for i, p := range shown {
			high = max(high, p.value(0))
			if i > 0 && p.step <= shown[i-1].step {
				t.Fatalf("step %d after %d", p.step, shown[i-1].step)
			}
		}
		if high != 10 || shown[0].step != 1 || shown[len(shown)-1].step != n {
			t.Fatalf("shown are steps %d to %d with a peak of %v", shown[0].step, shown[len(shown)-1].step, high)
		}
		// A stage that goes on from the middle forgets what lies behind.
		c.add(&event.Progress{Unit: "evaluation", Done: n/2 + 1, Final: true, Values: []event.Value{{Name: "b", Value: 1}}}, true)
		if last := k.points[len(k.points)-1]; last.step != n/2+1 || !math.IsNaN(last.value(0)) || last.value(1) != 1 {
			t.Fatalf("after step %d: %+v", n/2+1, last)
		}
	})
}
