package watch

import (
	"math"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/event"
)

const (
	// keptPoints is how many points of a curve stay when it has become twice as long: more than a picture has columns.
	keptPoints = 1000
	// shownPoints is about how many of them a picture is drawn with.
	shownPoints = 400
	// keptNotes is how many of the latest notes of a stage are kept.
	keptNotes = 2 * evolution
)

// curves are the values of a stage by unit, and what it noted beside them.
type curves struct {
	units []*curve     // in their order: a stage may count epochs first, and evaluations then
	notes []note       // the latest
	table *event.Table // the latest
}

// curve is what a stage said after each unit of a name.
type curve struct {
	unit   string
	names  []string // of the values
	points []point  // by step
	limit  int      // length at which points are thinned out
	last   int      // the step of the latest whole unit, also where it had no values
}

// point is what a stage said after a unit. values are in the order of the curve's names and may be fewer; NaN where there is none.
type point struct {
	step   int
	phase  string
	values []float64
}

// note is a text that a stage gave beside a unit, such as an architecture.
type note struct {
	unit string
	step int
	text string
}

func (c *curves) curve(unit string) *curve {
	for _, k := range c.units {
		if k.unit == unit {
			return k
		}
	}
	k := &curve{unit: unit, limit: 2 * keptPoints}
	c.units = append(c.units, k)
	return k
}

// add takes in a progress. What lies behind the place where a stage continues is forgotten: it is computed again. It takes the same time
// however long the curves are.
func (c *curves) add(p *event.Progress, first bool) {
	k := c.curve(p.Unit)
	if first {
		done := p.Done
		if p.Final {
			done--
		}
		c.cut(k, done+1)
	}
	for i := range p.Tables {
		c.table = &p.Tables[i]
	}
	// Between units the values are those of a part of one; without whole ones the note still tells.
	if !p.Final && p.Done <= k.last || len(p.Values) == 0 && p.Note == "" {
		return
	}
	c.cut(k, p.Done)
	k.last = p.Done
	if p.Note != "" {
		if len(c.notes) >= keptNotes {
			c.notes = slices.Delete(c.notes, 0, keptNotes-evolution)
		}
		c.notes = append(c.notes, note{p.Unit, p.Done, p.Note})
	}
	if len(p.Values) > 0 {
		k.append(p)
	}
}

// cut forgets what a curve has from a step on.
func (c *curves) cut(k *curve, from int) {
	if k.last < from {
		return
	}
	k.last = from - 1
	at, _ := slices.BinarySearchFunc(k.points, from, func(q point, step int) int { return q.step - step })
	k.points = k.points[:at]
	c.notes = slices.DeleteFunc(c.notes, func(n note) bool { return n.unit == k.unit && n.step >= from })
}

// append adds a point behind all others.
func (k *curve) append(p *event.Progress) {
	q := point{step: p.Done, phase: p.Phase, values: make([]float64, 0, len(p.Values))}
	if n := len(k.points); n > 0 && k.points[n-1].phase == p.Phase {
		q.phase = k.points[n-1].phase // one text for all of them
	}
	for i, v := range p.Values {
		at := i
		if i >= len(k.names) || k.names[i] != v.Name { // nearly always they are the same in the same order
			if at = slices.Index(k.names, v.Name); at < 0 {
				at = len(k.names)
				k.names = append(k.names, v.Name)
			}
		}
		for len(q.values) <= at {
			q.values = append(q.values, math.NaN())
		}
		q.values[at] = v.Value
	}
	if k.points = append(k.points, q); len(k.points) >= k.limit {
		k.points = thin(k.points, len(k.names), keptPoints)
		k.limit = 2 * max(len(k.points), keptPoints)
	}
}

// value returns a point's value that a chart can show, NaN where there is none.
func (q point) value(name int) float64 {
	if name >= len(q.values) || math.IsInf(q.values[name], 0) {
		return math.NaN()
	}
	return q.values[name]
}

// thin returns about as many of the points as are wanted, over equal stretches of steps: of each the ones with the least and the largest of
// every value, so that no peak is lost, and the first and the last of all and of every phase.
func thin(points []point, names, wanted int) []point {
	if len(points) <= wanted || len(points) < 3 {
		return points
	}
	stretches := max(8, wanted/(2*max(names, 1)))
	from, to := points[0].step, points[len(points)-1].step
	keep := make([]bool, len(points))
	keep[0], keep[len(points)-1] = true, true
	low, high := make([]int, names), make([]int, names) // -1 where the stretch has no value yet
	mark := func() {
		for name := range names {
			if low[name] >= 0 {
				keep[low[name]], keep[high[name]] = true, true
			}
			low[name], high[name] = -1, -1
		}
	}
	for name := range names {
		low[name] = -1
	}
	stretch := 0
	for i, q := range points {
		if s := int(int64(q.step-from) * int64(stretches) / int64(to-from+1)); s != stretch {
			mark()
			stretch = s
		}
		if i > 0 && q.phase != points[i-1].phase {
			keep[i] = true
		}
		for name := range names {
			v := q.value(name)
			if math.IsNaN(v) {
				continue
			}
			if low[name] < 0 || v < points[low[name]].value(name) {
				low[name] = i
			}
			if high[name] < 0 || v > points[high[name]].value(name) {
				high[name] = i
			}
		}
	}
	mark()
	out := make([]point, 0, wanted)
	for i, q := range points {
		if keep[i] {
			out = append(out, q)
		}
	}
	return out
}
