package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
)

func newSettingsCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "settings [KIND]",
		Short: "List the stage kinds, or the inputs, outputs and settings of one",
		Long: strings.TrimSpace(`
Without an argument the stage kinds are listed, with a line on each. With a kind, what it reads and writes, and every setting with its
default, the values that it takes, and what it does. The same of all kinds is in SETTINGS.md, and, for editors, what
plateau schema prints.

A setting is changed under settings: in a document, or for one run with --set STAGE.SETTING=VALUE.`),
		Example: "  plateau settings\n  plateau settings train\n  plateau settings dataset --json",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			reg, err := a.kinds()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return reg.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			reg, err := a.kinds()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.listKinds(reg, asJSON)
			}
			kind, ok := reg.Lookup(args[0])
			if !ok {
				return usagef("there is no stage kind %q; %s", args[0], pipeline.Suggest(args[0], "kinds", reg.Names()))
			}
			return a.describeKind(kind, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// kindLine is an entry of settings --json.
type kindLine struct {
	Kind string `json:"kind"`
	Doc  string `json:"doc"`
}

func (a *app) listKinds(reg *pipeline.Registry, asJSON bool) error {
	var list []kindLine
	t := table{}
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name) // Names lists what Lookup finds
		list = append(list, kindLine{name, kind.Doc})
		t.add(name, kind.Doc)
	}
	if asJSON {
		return printJSON(a.stdout, list)
	}
	return writeAll(a.stdout, t.text(0))
}

// kindDescription is what settings KIND --json prints.
type kindDescription struct {
	kindLine
	Inputs   []portLine         `json:"inputs"`
	Outputs  []portLine         `json:"outputs"`
	Settings []pipeline.Setting `json:"settings"`
}

type portLine struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Optional bool   `json:"optional,omitempty"`
	Many     bool   `json:"many,omitempty"`
	File     string `json:"file,omitempty"`
	Doc      string `json:"doc"`
}

func aboutKind(kind pipeline.Kind) (*kindDescription, error) {
	settings, err := pipeline.DescribeSettings(kind)
	if err != nil {
		return nil, err
	}
	out := &kindDescription{kindLine: kindLine{kind.Name, kind.Doc}, Inputs: []portLine{}, Outputs: []portLine{}, Settings: settings}
	for _, p := range kind.Inputs {
		out.Inputs = append(out.Inputs, portLine{Name: p.Name, Type: string(p.Type), Optional: p.Optional, Many: p.Many, Doc: p.Doc})
	}
	for _, o := range kind.Outputs {
		out.Outputs = append(out.Outputs, portLine{Name: o.Name, Type: string(o.Type), File: o.File, Doc: o.Doc})
	}
	return out, nil
}

func (a *app) describeKind(kind pipeline.Kind, asJSON bool) error {
	d, err := aboutKind(kind)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, d)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", d.Kind, d.Doc)
	ports := func(title string, list []portLine) {
		if len(list) == 0 {
			return
		}
		t := table{}
		for _, p := range list {
			t.add("  "+p.Name, p.kind(), p.about())
		}
		fmt.Fprintf(&b, "\n%s\n%s", title, t.text(0))
	}
	ports("inputs", d.Inputs)
	ports("outputs", d.Outputs)
	if len(d.Settings) > 0 {
		b.WriteString("\nsettings\n")
	}
	for _, s := range d.Settings {
		fmt.Fprintf(&b, "  %s: %s\n", s.Path, takes(s))
		if s.Doc != "" {
			b.WriteString(wrapped(s.Doc, "      ", 110))
		}
	}
	return writeAll(a.stdout, b.String())
}

// kind is a port's type in words.
func (p portLine) kind() string {
	switch {
	case p.Many && p.Optional:
		return p.Type + ", none or more"
	case p.Many:
		return p.Type + ", one or more"
	case p.Optional:
		return p.Type + ", optional"
	}
	return p.Type
}

// about is a port's sentence, and the file of an output.
func (p portLine) about() string {
	if p.File == "" {
		return p.Doc
	}
	return strings.TrimSpace(p.Doc + " (" + p.File + ")")
}

// takes says in one line what a setting takes and has when nothing is said.
func takes(s pipeline.Setting) string {
	text := s.Type
	if len(s.Values) > 0 {
		text += ": " + strings.Join(s.Values, ", ")
	}
	if s.Default != "" {
		text += "; default " + s.Default
	}
	if s.Free {
		text += "; changes no result"
	}
	return text
}

// wrapped breaks a text into lines of at most a width, each with the indent.
func wrapped(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}

// settingsReference describes all kinds as Markdown.
func settingsReference(reg *pipeline.Registry) (string, error) {
	var b strings.Builder
	b.WriteString("# Stage kinds and their settings\n\nMade from their declarations by `plateau reference --settings`; `plateau settings KIND` prints one of them.\n" +
		"Every setting has a default, so that a document names only what differs. A relative path in a document is relative to the document, one\n" +
		"after `--set` to the working directory.\n\n| kind | what it does |\n|---|---|\n")
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name) // Names lists what Lookup finds
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", name, name, cell(kind.Doc))
	}
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		d, err := aboutKind(kind)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", d.Kind, markdown(d.Doc))
		ports := func(title string, list []portLine) {
			if len(list) == 0 {
				return
			}
			fmt.Fprintf(&b, "\n| %s | type | |\n|---|---|---|\n", title)
			for _, p := range list {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, p.kind(), cell(p.about()))
			}
		}
		ports("input", d.Inputs)
		ports("output", d.Outputs)
		if len(d.Settings) == 0 {
			continue
		}
		b.WriteString("\n| setting | takes | default | |\n|---|---|---|---|\n")
		for _, s := range d.Settings {
			values, def, doc := s.Type, "", s.Doc
			if len(s.Values) > 0 {
				values = "`" + strings.Join(s.Values, "`, `") + "`"
			}
			if s.Default != "" {
				def = "`" + strings.ReplaceAll(s.Default, "|", `\|`) + "`"
			}
			if s.Free {
				doc = strings.TrimSpace(doc + " Changes no result.")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Path, values, def, cell(doc))
		}
	}
	return b.String(), nil
}

// cell is a text in a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "\n", " ").Replace(text)
}
