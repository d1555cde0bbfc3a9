package watch

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
)

// work says of units how many of them were done: "trained 40 epochs". Other units, such as images, are left to the stage's own words.
var work = map[string]string{
	"epoch": "trained %s", "architecture": "scored %s", "evaluation": "made %s", "search": "ran %s",
}

// did says in a line what a finished stage did: what it counted, and its summary, or the last that it said, or the files that it wrote.
func (n *node) did() string {
	var parts []string
	summary, said := "", ""
	if st := n.stage; st != nil {
		for _, c := range st.counts {
			if verb, ok := work[c.unit]; ok && c.done > 0 {
				parts = append(parts, fmt.Sprintf(verb, words.Count(c.done, c.unit)))
			}
		}
		summary, said = st.summary, st.said
	}
	if summary == "" && n.planned != nil {
		summary = n.planned.Summary
	}
	done := strings.Join(parts, ", ")
	text := gist(summary)
	if text == "" && said != "" {
		text = gist(said)
	}
	if text == "" && done == "" {
		text = n.wrote()
	}
	switch {
	case text == "":
		return done
	case done == "":
		return text
	}
	return done + "; " + text
}

// gist is a line that stands for a text of several. A summary whose first line is but an architecture, of which the next ones are the
// drawing, ends with what is to be said of it.
func gist(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	first, last := strings.TrimSpace(lines[0]), strings.TrimSpace(lines[len(lines)-1])
	if len(lines) > 1 && !strings.Contains(first, " ") {
		return "chose " + first + ": " + last
	}
	return first
}

// wrote names the files of a stage.
func (n *node) wrote() string {
	if n.planned == nil || len(n.planned.Outputs) == 0 {
		return ""
	}
	text := "wrote " + n.planned.Outputs[0].File
	if more := len(n.planned.Outputs) - 1; more > 0 {
		text += " and " + words.Count(more, "other file")
	}
	return text
}
