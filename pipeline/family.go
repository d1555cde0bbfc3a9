package pipeline

import (
	"slices"
	"strings"
)

// This file is about the variants of a stage among each other: which of them read from which, what happens when some are left out,
// and whether anything tells them apart.

// sharedAxes lists the axes that both templates have. They tell the sources of the first one's variants apart, so they make a
// difference there.
func (c *wiring) sharedAxes(t, from *template) []string {
	var shared []string
	for _, a := range t.axes {
		if slices.ContainsFunc(from.axes, func(b axis) bool { return b.name == a.name }) {
			shared = append(shared, a.name)
			t.used[a.name] = true
		}
	}
	return shared
}

// byLabels sorts the variants of a template by their labels on some of its axes.
func (c *wiring) byLabels(t *template, axes []string) map[string][]*wired {
	key := t.id + "\x00" + strings.Join(axes, "\x00")
	if found, ok := c.sorted[key]; ok {
		return found
	}
	out := map[string][]*wired{}
	for _, m := range c.families[c.place[t.id]].members {
		labels := labelsOn(m.spec.bound, axes)
		out[labels] = append(out[labels], m)
	}
	if c.sorted == nil {
		c.sorted = map[string]map[string][]*wired{}
	}
	c.sorted[key] = out
	return out
}

// labelsOn joins the labels on the axes.
func labelsOn(bound []binding, axes []string) string {
	labels := make([]string, len(axes))
	for i, name := range axes {
		for _, b := range bound {
			if b.axis == name {
				labels[i] = b.label
			}
		}
	}
	return strings.Join(labels, "\x00")
}

// leaveOut leaves out, too, what cannot run without a stage that is left out, and disconnects what can.
func (c *wiring) leaveOut() {
	for changed := true; changed; {
		changed = false
		for _, w := range c.all {
			if w.spec.left != "" {
				continue
			}
			for _, p := range w.kind.Inputs {
				var gone string
				had, kept := 0, 0
				for _, in := range w.wires {
					if in.port.Name != p.Name {
						continue
					}
					had++
					if c.byID[in.stage].spec.left == "" {
						kept++
					} else {
						gone = in.stage
					}
				}
				if had > 0 && kept == 0 && !p.Optional {
					w.spec.left, changed = "reads "+gone+", which is left out", true
					break
				}
			}
		}
	}
	for _, w := range c.all {
		w.wires = slices.DeleteFunc(w.wires, func(in wire) bool { return c.byID[in.stage].spec.left != "" })
	}
}

// reportUnusedAxes finds axes that only make the same stage again under another name.
func (c *wiring) reportUnusedAxes() {
	for _, t := range c.spec.templates {
		for _, a := range t.axes {
			if t.used[a.name] || !c.complete {
				continue
			}
			hint := "write ${" + a.name + "} where the values belong"
			if a.name == itemAxis {
				hint += ", or ${key} for their labels"
			}
			c.f.add(a.at, hint, "nothing in stage %s depends on the axis %s", t.id, a.name)
		}
	}
}
