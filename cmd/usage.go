package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plateau-nas/plateau/pipeline"
)

// addUsageErrors makes every command say in its own words what was wrong with how it was called.
func (a *app) addUsageErrors(root *cobra.Command) {
	root.SetFlagErrorFunc(a.flagError)
	for _, cmd := range allCommands(root) {
		check := cmd.Args
		if check == nil || cmd.HasSubCommands() {
			continue
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var usage *usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return argumentError(cmd, args)
		}
	}
}

// argumentError says which arguments are missing or too many, by what the command's use line names.
func argumentError(cmd *cobra.Command, args []string) error {
	named := strings.Fields(cmd.Use)[1:]
	if i := slices.IndexFunc(named, func(n string) bool { return strings.HasPrefix(n, "-") }); i >= 0 {
		named = named[:i] // a flag with its value
	}
	wanted := "no arguments"
	if len(named) > 0 {
		wanted = strings.Join(named, " ")
	}
	if len(args) < len(named) {
		missing := strings.TrimSuffix(named[len(args)], "...")
		return usagef("%s is missing: %s takes %s\n%s", missing, cmd.CommandPath(), wanted, seeHelp(cmd))
	}
	return usagef("%q is too much: %s takes %s\n%s", args[len(named)], cmd.CommandPath(), wanted, seeHelp(cmd))
}

// exclusive lets at most one of two flags be given.
func exclusive(cmd *cobra.Command, one, other string) {
	cmd.MarkFlagsMutuallyExclusive(one, other) // for the shell's completion
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
			return usagef("--%s and --%s exclude each other; leave one out", one, other)
		}
		return nil
	}
}

// seeHelp ends the message about a mistake: an example of how the command is called, and where there is more.
func seeHelp(cmd *cobra.Command) string {
	first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	if !cmd.HasParent() || !strings.HasPrefix(strings.TrimSpace(first)+" ", cmd.CommandPath()+" ") {
		return fmt.Sprintf("  see %s --help", cmd.CommandPath())
	}
	return fmt.Sprintf("  for example: %s\n  see %s --help", strings.TrimSpace(first), cmd.CommandPath())
}

// unknownCommand is the error about a name that a command does not have below it.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	near := pipeline.Nearest(name, names)
	if near == "" && !cmd.HasParent() { // the commands of plateau are too many for a line
		return usagef("there is no command %q\n%s", name, seeHelp(cmd))
	}
	in := ""
	if cmd.HasParent() {
		in = " in " + cmd.CommandPath()
	}
	return usagef("there is no command %q%s; %s\n%s", name, in, pipeline.Suggest(name, "commands", names), seeHelp(cmd))
}

// flagError says what is wrong with a flag.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() { // its flags are those of a command whose name is wrong
		if _, rest, _ := cmd.Root().Find(a.args); len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			return unknownCommand(cmd, rest[0])
		}
	}
	var (
		unknown *pflag.NotExistError
		bare    *pflag.ValueRequiredError
		wrong   *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return usagef("%s has no flag -%s\n%s", cmd.CommandPath(), name, seeHelp(cmd))
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		hint := ""
		if near := pipeline.Nearest("--"+name, names); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return usagef("%s has no flag --%s%s\n%s", cmd.CommandPath(), name, hint, seeHelp(cmd))
	case errors.As(err, &bare):
		return usagef("--%s is without its value: %s\n  see %s --help", bare.GetFlag().Name, bare.GetFlag().Usage, cmd.CommandPath())
	case errors.As(err, &wrong):
		f := wrong.GetFlag()
		return usagef("--%s %s: want %s: %s\n  see %s --help", f.Name, wrong.GetValue(), valueOf(f, wrong.Unwrap()), f.Usage, cmd.CommandPath())
	}
	return usagef("%w\n  see %s --help", err, cmd.CommandPath())
}

// valueOf says what a flag takes.
func valueOf(f *pflag.Flag, err error) string {
	if errors.Is(err, strconv.ErrRange) {
		return "a number that is not as large"
	}
	switch f.Value.Type() {
	case "int", "int64":
		return "a whole number"
	case "uint", "uint64":
		return "a whole number of 0 or more"
	case "float64":
		return "a number"
	case "float64Slice":
		return "numbers with commas between them"
	case "bool":
		return "true or false"
	case "duration":
		return "a time such as 90s or 1h30m"
	}
	return f.Value.Type()
}
