package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
)

func planFormats() []string { return []string{"text", "json", "dot", "mermaid"} }

func writePlan(w io.Writer, p *pipeline.Plan, format string) error {
	switch format {
	case "json":
		return printJSON(w, planJSON(p))
	case "dot":
		return writeAll(w, planDOT(p))
	case "mermaid":
		return writeAll(w, planMermaid(p))
	}
	return writeAll(w, planText(p))
}

func writeAll(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

func planText(p *pipeline.Plan) string {
	var b strings.Builder
	stages := "stages"
	if len(p.Stages) == 1 {
		stages = "stage"
	}
	fmt.Fprintf(&b, "%s: %d %s, seed %d\n", p.Name, len(p.Stages), stages, p.Seed)
	wide := 0
	for _, s := range p.Stages {
		wide = max(wide, len(s.ID))
	}
	for _, s := range p.LeftOut {
		wide = max(wide, len(s.ID))
	}
	for _, s := range p.Stages {
		fmt.Fprintf(&b, "  %-8s  %-*s  %s\n", s.Action, wide, s.ID, s.Reason)
	}
	for _, s := range p.LeftOut {
		fmt.Fprintf(&b, "  %-8s  %-*s  %s\n", "leave", wide, s.ID, s.Reason)
	}
	return b.String()
}

func planDOT(p *pipeline.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n", strconv.Quote(p.Name))
	for _, s := range p.Stages {
		fmt.Fprintf(&b, "  %s [label=%s];\n", strconv.Quote(s.ID), strconv.Quote(s.ID+"\n"+string(s.Action)))
	}
	for _, s := range p.Stages {
		for _, in := range s.Inputs {
			fmt.Fprintf(&b, "  %s -> %s [label=%s];\n", strconv.Quote(in.Stage), strconv.Quote(s.ID), strconv.Quote(string(in.Type)))
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func planMermaid(p *pipeline.Plan) string {
	// Ids of stages may be words that mean something in Mermaid ("end"), so nodes are numbered.
	number := map[string]int{}
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, s := range p.Stages {
		number[s.ID] = i
		fmt.Fprintf(&b, "  s%d[\"%s<br/>%s\"]\n", i, s.ID, s.Action)
	}
	for i, s := range p.Stages {
		for _, in := range s.Inputs {
			fmt.Fprintf(&b, "  s%d -->|%s| s%d\n", number[in.Stage], in.Type, i)
		}
	}
	return b.String()
}

type jsonPlan struct {
	Run    string          `json:"run"`
	File   string          `json:"file"`
	Seed   uint64          `json:"seed"`
	Stages []jsonPlanStage `json:"stages"`
	// LeftOut are stages whose condition is false.
	LeftOut []pipeline.LeftOut `json:"left_out,omitempty"`
}

type jsonPlanStage struct {
	ID       string           `json:"id"`
	Kind     string           `json:"kind"`
	Action   pipeline.Action  `json:"action"`
	Reason   string           `json:"reason"`
	Changes  []jsonChange     `json:"changes,omitempty"`
	Key      string           `json:"key,omitempty"`
	Settings json.RawMessage  `json:"settings"`
	Inputs   []jsonPlanInput  `json:"inputs"`
	Outputs  []jsonPlanOutput `json:"outputs"`
}

type jsonChange struct {
	Subject string `json:"subject"` // "setting count", "input dataset", "seed", ...
	Was     string `json:"was"`     // empty when it is new
	Now     string `json:"now"`     // empty when it is gone
}

type jsonPlanInput struct {
	Port    string        `json:"port"`
	Type    pipeline.Type `json:"type"`
	Source  string        `json:"source"` // STAGE.OUTPUT
	Implied bool          `json:"implied"`
}

type jsonPlanOutput struct {
	Name string        `json:"name"`
	Type pipeline.Type `json:"type"`
	File string        `json:"file"`
}

func planJSON(p *pipeline.Plan) jsonPlan {
	out := jsonPlan{Run: p.Name, File: p.File, Seed: p.Seed, Stages: []jsonPlanStage{}, LeftOut: p.LeftOut}
	for _, s := range p.Stages {
		js := jsonPlanStage{
			ID: s.ID, Kind: s.Kind.Name, Action: s.Action, Reason: s.Reason, Key: s.Key, Settings: s.Settings,
			Inputs: []jsonPlanInput{}, Outputs: []jsonPlanOutput{},
		}
		for _, c := range s.Changes {
			js.Changes = append(js.Changes, jsonChange{c.Subject, c.Was, c.Now})
		}
		for _, in := range s.Inputs {
			js.Inputs = append(js.Inputs, jsonPlanInput{in.Port, in.Type, in.Stage + "." + in.Output, in.Implied})
		}
		for _, o := range s.Kind.Outputs {
			js.Outputs = append(js.Outputs, jsonPlanOutput{o.Name, o.Type, o.File})
		}
		out.Stages = append(out.Stages, js)
	}
	return out
}
