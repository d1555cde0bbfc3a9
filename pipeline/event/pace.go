package event

import "time"

// Pace estimates how long work goes on that has got somewhere: what is left takes as long as what has been done since Begin. The zero
// value is ready for use by one goroutine.
type Pace struct {
	began time.Time
	from  float64
}

// Begin notes where the work begins, in any unit. Only the first call counts.
func (p *Pace) Begin(at float64) {
	if p.began.IsZero() {
		p.began, p.from = time.Now(), at
	}
}

// Remaining returns the seconds that are left until total once the work has come to at; -1 as long as nothing has been done.
func (p *Pace) Remaining(at, total float64) float64 {
	done := at - p.from
	if p.began.IsZero() || done <= 0 {
		return -1
	}
	return time.Since(p.began).Seconds() / done * (total - at)
}
