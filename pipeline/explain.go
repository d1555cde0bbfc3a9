package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// maxReasons is how many changes an explanation lists.
const maxReasons = 4

// decision is what to do with a stage whose inputs are known, and why.
type decision struct {
	key    string
	action Action
	reason string
	record *store.Record // of ActionReuse
}

// decide looks the stage up in the store.
func (ps *PlannedStage) decide(st *store.Store, p *Plan, inputs []store.Input) (decision, error) {
	id := ps.identity(inputs)
	key, err := id.key()
	if err != nil {
		return decision{}, err
	}
	d := decision{key: key, action: ActionRun}
	if p.Forced {
		d.reason = "forced"
		return d, nil
	}
	record, err := st.Record(key)
	var corrupt *store.CorruptError
	switch {
	case errors.As(err, &corrupt):
		d.reason = corrupt.Error()
	case err != nil:
		return decision{}, err
	}
	latest := st.Latest(p.Name, ps.ID)
	if record != nil {
		if lost := lostOutput(st, record); lost != "" {
			d.reason = "the store no longer holds " + lost + " of the earlier result"
		} else {
			d.action, d.record = ActionReuse, record
			d.reason = reuseReason(record, latest, p.Name, ps.ID)
			return d, nil
		}
	}
	if d.reason == "" {
		d.reason = changeReason(id, latest)
	}
	if st.HasCheckpoint(key) {
		d.action = ActionContinue
		d.reason += "; an unfinished run left a checkpoint"
	}
	return d, nil
}

// lostOutput returns the file of an output that the store no longer holds, or "".
func lostOutput(st *store.Store, r *store.Record) string {
	for _, o := range r.Outputs {
		if !st.Has(o.Digest) {
			return o.File
		}
	}
	return ""
}

func reuseReason(r, latest *store.Record, document, stage string) string {
	when := r.Finished.Local().Format("2006-01-02 15:04")
	switch {
	case latest != nil && latest.Key == r.Key:
		return "nothing has changed since " + when
	case r.Document == document && r.Stage == stage:
		return "these settings and inputs ran before, on " + when
	default:
		return fmt.Sprintf("the same was computed on %s for stage %s of %s", when, r.Stage, r.Document)
	}
}

// changeReason says what differs from the latest result of the stage.
func changeReason(now identity, was *store.Record) string {
	if was == nil {
		return "it has not run before"
	}
	var reasons []string
	add := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if now.Kind != was.Kind {
		add("its kind changed from %s to %s", was.Kind, now.Kind)
	} else if now.Version != was.Version {
		add("version %d of kind %s replaced %d", now.Version, now.Kind, was.Version)
	}
	changes("setting", flatten(was.Settings), flatten(now.Settings), add)
	if now.Seed != was.Seed {
		add("the seed changed")
	}
	inputChanges(was.Inputs, now.Inputs, add)
	changes("", was.Fingerprint, now.Fingerprint, add)
	if len(reasons) == 0 {
		return "the way in which results are told apart has changed" // a newer keyFormat
	}
	if extra := len(reasons) - maxReasons; extra > 0 {
		reasons = append(reasons[:maxReasons], fmt.Sprintf("and %d more changes", extra))
	}
	return strings.Join(reasons, "; ")
}

func changes(what string, was, now map[string]string, add func(string, ...any)) {
	for _, name := range sortedKeys(was, now) {
		label := strings.TrimSpace(what + " " + name)
		before, had := was[name]
		after, has := now[name]
		switch {
		case !had:
			add("%s is new: %s", label, shorten(after))
		case !has:
			add("%s is gone, it was %s", label, shorten(before))
		case before != after:
			add("%s changed from %s to %s", label, shorten(before), shorten(after))
		}
	}
}

func inputChanges(was, now []store.Input, add func(string, ...any)) {
	before, after := byPort(was), byPort(now)
	for _, port := range sortedKeys(before, after) {
		b, had := before[port]
		a, has := after[port]
		switch {
		case !had:
			add("input %s is now connected, to %s.%s", port, a.Stage, a.Output)
		case !has:
			add("input %s is no longer connected", port)
		case a.Stage != b.Stage || a.Output != b.Output:
			add("input %s is %s.%s and was %s.%s", port, a.Stage, a.Output, b.Stage, b.Output)
		case a.Digest != b.Digest:
			add("input %s changed: stage %s wrote other bytes", port, a.Stage)
		case !a.Equal(b):
			add("input %s changed: stage %s is of another kind", port, a.Stage)
		}
	}
}

// byPort names inputs by their port, and those of a port that takes many as "port[0]".
func byPort(inputs []store.Input) map[string]store.Input {
	count := map[string]int{}
	for _, in := range inputs {
		count[in.Port]++
	}
	out, next := map[string]store.Input{}, map[string]int{}
	for _, in := range inputs {
		name := in.Port
		if count[name] > 1 {
			name = fmt.Sprintf("%s[%d]", in.Port, next[in.Port])
			next[in.Port]++
		}
		out[name] = in
	}
	return out
}

// shorten keeps long values, such as hashes and lists, from filling the line.
func shorten(s string) string {
	const most = 48
	if r := []rune(s); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return s
}
