package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
)

// openDocument loads the document that an argument means: a shipped one by its name, or a file.
func openDocument(arg string) (*pipeline.Document, error) {
	names := configs.Names()
	if slices.Contains(names, arg) {
		text, err := configs.Read(arg)
		if err != nil {
			return nil, err
		}
		return loader().Load(arg, text)
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return nil, usagef("%s is a folder; name a document, a file such as %s", arg, filepath.Join(arg, "pipeline.yaml"))
	case err == nil:
		d, err := loader().LoadFile(arg)
		var diagnostics *pipeline.DiagnosticsError
		if err != nil && !errors.As(err, &diagnostics) {
			return nil, &usageError{err}
		}
		return d, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, &usageError{fmt.Errorf("reading the document: %w", err)}
	case looksLikePath(arg):
		return nil, usagef("there is no file %s", arg)
	}
	hint := "shipped documents: " + strings.Join(names, ", ")
	if near := pipeline.Nearest(arg, names); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return nil, usagef("there is no document %q, neither a file nor a shipped one\n  %s", arg, hint)
}

// loader reads documents, which may extend shipped ones.
func loader() pipeline.Loader {
	return pipeline.Loader{Names: configs.Names(), Shipped: func(name string) ([]byte, bool) {
		text, err := configs.Read(name)
		return text, err == nil
	}}
}

func looksLikePath(arg string) bool {
	ext := filepath.Ext(arg)
	return strings.ContainsAny(arg, `/\`) || ext == ".yaml" || ext == ".yml"
}

// completeDocument lets the shell complete the names of shipped documents, and YAML files.
func completeDocument(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return configs.Names(), cobra.ShellCompDirectiveDefault
}

// completeStage lets the shell complete the ids of the stages of the document that is named before.
func completeStage(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	d, err := openDocument(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return d.StageIDs(), cobra.ShellCompDirectiveNoFileComp
}
