package report

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
)

// checksView lists what the exported model was tested for.
type checksView struct {
	Summary string
	Checks  []result.Check
}

func newChecks(c Content) *checksView {
	if c.Checks == nil {
		return nil
	}
	v := &checksView{Checks: c.Checks.Checks}
	if failed := len(c.Checks.Failed()); failed > 0 {
		v.Summary = fmt.Sprintf("%d of %s failed: do not use the exported model.", failed, words.Count(c.Checks.Made(), "check"))
	} else {
		v.Summary = fmt.Sprintf("The exported model has passed %s.", words.Count(c.Checks.Made(), "check"))
	}
	return v
}

// originView says what the page was made of: settings, versions and the digests of files.
type originView struct {
	Groups  []factGroup
	Sources []Source
}

type factGroup struct {
	Name  string
	Facts []pair
	Open  bool
}

func newOrigin(c Content) originView {
	v := originView{Sources: c.Sources}
	add := func(name string, open bool, facts []pair) {
		if len(facts) > 0 {
			v.Groups = append(v.Groups, factGroup{Name: name, Facts: facts, Open: open})
		}
	}
	add("Environment", true, environment(c))
	a := c.Architecture
	choice := []pair{{"space", a.Space}, {"algorithm", a.Algorithm}, {"seed", fmt.Sprint(a.Seed)}}
	for _, p := range flatten(a.Settings) {
		if p.Name != "algorithm" && p.Name != "seed" { // said already
			choice = append(choice, p)
		}
	}
	add("Choice of the architecture", true, choice)
	if c.Ranking != nil {
		add("Neighborhood", true, flatten(c.Ranking.Aggregate))
	}
	if m := c.Model; m != nil {
		facts := []pair{{"inputs", strings.Join(m.Inputs, "; ")}, {"outputs", strings.Join(m.Outputs, "; ")}, {"operators", operators(m)}}
		for _, key := range sortedKeys(m.Metadata) {
			facts = append(facts, pair{key, m.Metadata[key]})
		}
		add("Exported model", false, facts)
	}
	return v
}

func environment(c Content) []pair {
	var facts []pair
	add := func(name, value string) {
		if value != "" && value != "0" {
			facts = append(facts, pair{name, value})
		}
	}
	library := ""
	if c.Checks != nil {
		library = c.Checks.Library
		add("opset", fmt.Sprint(c.Checks.Opset))
	}
	if m := c.Metrics; m != nil {
		if library == "" {
			library = m.Library
		}
		add("provider", m.Provider)
		add("threads", fmt.Sprint(m.Threads))
		if m.Latency != nil {
			text := fmt.Sprintf("mean %s ms, median %s ms", number(m.Latency.Mean, 3), number(m.Latency.P50, 3))
			if m.Latency.P95 > 0 {
				text += fmt.Sprintf(", 95th percentile %s ms", number(m.Latency.P95, 3))
			}
			add("latency", text)
		}
	}
	add("library", library)
	if c.Model != nil {
		add("written by", c.Model.Producer)
		add("model file", size(c.Model.Bytes))
	}
	if c.Dataset != nil {
		add("data", c.Dataset.Source)
	}
	return facts
}

func operators(m *Model) string {
	parts := make([]string, 0, len(m.Operators))
	for _, name := range sortedKeys(m.Operators) {
		parts = append(parts, fmt.Sprintf("%d %s", m.Operators[name], name))
	}
	return strings.Join(parts, ", ")
}
