package sampling

import (
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// This file is for MergeEqual: an architecture that computes the same as one that is known takes over its result, and the budget
// does not pay for it. It is an entry of its own all the same: what is around it is different.

// identity returns what an architecture is evaluated and paid for as: itself, or what it computes.
func (p *pool) identity(a space.Architecture, key string) string {
	if p.search.MergeEqual {
		return p.search.classes.Of(a)
	}
	return key
}

// answer returns the result of an architecture that is not known yet, and whether it is that of an equal one that is.
func (p *pool) answer(a space.Architecture, key string) (r score.Result, equal bool) {
	id := p.identity(a, key)
	if r, equal = p.answers[id]; equal {
		return r, true
	}
	r = p.ready[id]
	delete(p.ready, id)
	if p.search.MergeEqual {
		p.answers[id] = r
	}
	return r, false
}

// evaluations returns how many the whole space costs: its size, or the number of its classes where these are few enough to be counted.
func (x *search) evaluations() int {
	size := x.space.Size()
	if !x.MergeEqual || size <= x.Budget || size > space.MaxEnumerated {
		return size
	}
	classes := map[string]bool{}
	for a := range x.space.All() {
		classes[x.classes.Of(a)] = true
	}
	return len(classes)
}
