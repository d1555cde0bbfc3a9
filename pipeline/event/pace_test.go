package event_test

import (
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
)

func TestPace(t *testing.T) {
	var p event.Pace
	if left := p.Remaining(1, 2); left != -1 {
		t.Errorf("%v seconds are left of what has not begun", left)
	}
	p.Begin(10)
	p.Begin(2) // another time does not count
	if left := p.Remaining(10, 20); left != -1 {
		t.Errorf("%v seconds are left before anything was done", left)
	}
	began := time.Now()
	time.Sleep(20 * time.Millisecond)
	left := p.Remaining(11, 14) // three times as much as was done
	if most := 3 * time.Since(began).Seconds(); left < 0.06 || left > 2*most {
		t.Errorf("%v seconds are left, want about %v", left, most)
	}
}
