package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/runtime"
)

// addCompletions lets the shell complete what several commands have in common: --set and the settings.
func (a *app) addCompletions(root *cobra.Command) {
	fixed := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for _, cmd := range allCommands(root) {
		for name, complete := range map[string]cobra.CompletionFunc{
			"set": a.completeOverride, "provider": fixed(runtime.Providers()...), "log-level": fixed("debug", "info", "warn", "error"),
			"format": fixed(planFormats()...), "config": cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
		} {
			owned := cmd.LocalNonPersistentFlags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil
			if _, has := cmd.GetFlagCompletionFunc(name); owned && !has {
				_ = cmd.RegisterFlagCompletionFunc(name, complete) // the flag is there
			}
		}
	}
}

// addCompletionCommand adds cobra's command that prints completion scripts, with examples as every command has.
func addCompletionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Print a completion script for a shell"
		c.Long = strings.TrimSpace(`
Prints a script that lets a shell complete commands and flags, the names of documents, their stages, and with --set
their settings and the values of these.`)
		c.Example = "  source <(plateau completion bash)"
		for _, shell := range c.Commands() {
			shell.Short = "Print the completion script for " + shell.Name()
			shell.Example = map[string]string{
				"bash":       "  source <(plateau completion bash)",
				"zsh":        "  plateau completion zsh > \"${fpath[1]}/_plateau\"",
				"fish":       "  plateau completion fish > ~/.config/fish/completions/plateau.fish",
				"powershell": "  plateau completion powershell | Out-String | Invoke-Expression",
			}[shell.Name()]
		}
	}
}

// allCommands returns a command and all below it, in the order in which help lists them.
func allCommands(root *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{root}
	for _, c := range root.Commands() {
		out = append(out, allCommands(c)...)
	}
	return out
}

// completeShipped lets the shell complete the names of shipped documents alone.
func completeShipped(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return configs.Names(), cobra.ShellCompDirectiveNoFileComp
}

// completeOverride lets the shell complete STAGE.SETTING=VALUE for the document that is named before: first stages,
// variables, seed and name, then the settings of a stage group by group, then the values that have names.
func (a *app) completeOverride(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const more = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	if len(args) == 0 {
		return nil, more
	}
	reg, err := a.kinds()
	if err != nil {
		return nil, more
	}
	d, err := openDocument(args[0])
	if err != nil {
		return nil, more
	}
	path, _, valued := strings.Cut(typed, "=")
	var out []string
	groups := map[string]bool{}
	for _, s := range d.Settables(reg) {
		switch {
		case valued && s.Path == path:
			for _, v := range s.Values {
				if v = path + "=" + v; strings.HasPrefix(v, typed) {
					out = append(out, v)
				}
			}
			if s.Values == nil {
				return nil, cobra.ShellCompDirectiveDefault // it may be a file
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		case valued || !strings.HasPrefix(s.Path, typed):
			continue
		}
		if end := strings.IndexByte(s.Path[len(typed):], '.'); end >= 0 {
			if group := s.Path[:len(typed)+end+1]; !groups[group] {
				groups[group] = true
				out = append(out, group)
			}
			continue
		}
		help := s.Doc
		if s.Default != "" {
			help = strings.TrimSpace(fmt.Sprintf("%s (default %s)", s.Doc, s.Default))
		}
		out = append(out, cobra.CompletionWithDesc(s.Path+"=", help))
	}
	return out, more
}
