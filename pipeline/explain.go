package pipeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// maxReasons is how many changes an explanation lists.
const maxReasons = 4

// decision is what to do with a stage whose inputs are known, and why.
type decision struct {
	key     string
	action  Action
	reason  string
	changes []Change
	record  *store.Record // of ActionReuse
}

// decide looks the stage up in the store.
func (ps *PlannedStage) decide(st *store.Store, p *Plan, inputs []store.Input) (decision, error) {
	id := ps.identity(inputs)
	key, err := id.key()
	if err != nil {
		return decision{}, err
	}
	d := decision{key: key, action: ActionRun}
	if ps.forced {
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
	latest := record
	if st.LatestKey(p.Name, ps.ID) != key || record == nil {
		latest = st.Latest(p.Name, ps.ID)
	}
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
		d.changes, d.reason = changeReason(id, latest)
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
func changeReason(now identity, was *store.Record) ([]Change, string) {
	if was == nil {
		return nil, "it has not run before"
	}
	list := append(ownChanges(now, was), inputChanges(was.Inputs, now.Inputs)...)
	list = append(list, valueChanges("", was.Fingerprint, now.Fingerprint)...)
	if len(list) == 0 {
		return nil, "the way in which results are told apart has changed" // a newer keyFormat
	}
	return list, changeText(list)
}

// ownChanges are the changes of the stage itself, for when its inputs are not known yet.
func (ps *PlannedStage) ownChanges(was *store.Record) []Change {
	if was == nil {
		return nil
	}
	now := ps.identity(nil)
	return append(ownChanges(now, was), valueChanges("", was.Fingerprint, now.Fingerprint)...)
}

func ownChanges(now identity, was *store.Record) []Change {
	var list []Change
	if now.Kind != was.Kind {
		list = append(list, Change{"kind", was.Kind, now.Kind, fmt.Sprintf("its kind changed from %s to %s", was.Kind, now.Kind)})
	} else if now.Version != was.Version {
		list = append(list, Change{"version", strconv.Itoa(was.Version), strconv.Itoa(now.Version),
			fmt.Sprintf("version %d of kind %s replaced %d", now.Version, now.Kind, was.Version)})
	}
	list = append(list, valueChanges("setting", flatten(was.Settings), flatten(now.Settings))...)
	if now.Seed != was.Seed {
		list = append(list, Change{"seed", strconv.FormatUint(was.Seed, 10), strconv.FormatUint(now.Seed, 10), "the seed changed"})
	}
	return list
}

// changeText tells of the first few changes.
func changeText(list []Change) string {
	var parts []string
	for i, c := range list {
		if i == maxReasons {
			parts = append(parts, fmt.Sprintf("and %d more changes", len(list)-maxReasons))
			break
		}
		parts = append(parts, c.text)
	}
	return strings.Join(parts, "; ")
}

// valueChanges compares named values.
func valueChanges(what string, was, now map[string]string) []Change {
	var list []Change
	for _, name := range sortedKeys(was, now) {
		label := strings.TrimSpace(what + " " + name)
		before, had := was[name]
		after, has := now[name]
		c := Change{Subject: label, Was: before, Now: after}
		switch {
		case !had:
			c.text = fmt.Sprintf("%s is new: %s", label, shorten(after))
		case !has:
			c.text = fmt.Sprintf("%s is gone, it was %s", label, shorten(before))
		case before != after:
			c.text = fmt.Sprintf("%s changed from %s to %s", label, shorten(before), shorten(after))
		default:
			continue
		}
		list = append(list, c)
	}
	return list
}

func inputChanges(was, now []store.Input) []Change {
	before, after := byPort(was), byPort(now)
	describe := func(in store.Input, ok bool) string {
		if !ok {
			return ""
		}
		return in.Stage + "." + in.Output + " " + in.Digest
	}
	var list []Change
	for _, port := range sortedKeys(before, after) {
		b, had := before[port]
		a, has := after[port]
		c := Change{Subject: "input " + port, Was: describe(b, had), Now: describe(a, has)}
		switch {
		case !had:
			c.text = fmt.Sprintf("input %s is now connected, to %s.%s", port, a.Stage, a.Output)
		case !has:
			c.text = fmt.Sprintf("input %s is no longer connected", port)
		case a.Stage != b.Stage || a.Output != b.Output:
			c.text = fmt.Sprintf("input %s is %s.%s and was %s.%s", port, a.Stage, a.Output, b.Stage, b.Output)
		case a.Digest != b.Digest:
			c.text = fmt.Sprintf("input %s changed: stage %s wrote other bytes (%s, before %s)", port, a.Stage, short(a.Digest), short(b.Digest))
		case !a.Equal(b):
			c.text = fmt.Sprintf("input %s changed: stage %s is of another kind or variant", port, a.Stage)
		default:
			continue
		}
		list = append(list, c)
	}
	return list
}

// short is enough of a digest to tell two apart.
func short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return hex[:min(len(hex), 8)]
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
