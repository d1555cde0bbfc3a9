package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/report/local"
	"github.com/plateau-nas/plateau/stages/report/serve"
)

func newServeCommand(a *app) *cobra.Command {
	var f modelFlags
	var port int
	cmd := &cobra.Command{
		Use:   "serve MODEL",
		Short: "Try a classifier in the browser, with pictures and the camera",
		Long: strings.TrimSpace(`
Serves a page on this machine, and for this machine only, that says what pictures show: drop one, paste one, or let the camera look.
Programs ask by POST /predict with the bytes of a picture, and get JSON. Nothing is stored, and no picture leaves the machine. It ends
with Ctrl-C.

MODEL and the flags are those of plateau predict: a model that plateau has exported needs none.`),
		Example: "  plateau serve runs/images\n  plateau serve resnet50.onnx --port 8080 --labels imagenet.txt --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.serve(cmd.Context(), args[0], port, f, cmd.Flags().Changed)
		},
	}
	f.add(cmd, "height and width that pictures are brought to; 0 for the model's",
		"the names of the classes: a file with one name a line in the order of the scores, or JSON; numbers; or auto (names in the model, else numbers)")
	cmd.Flags().IntVar(&port, "port", 0, "port to serve on; 0 for a free one")
	return cmd
}

func (a *app) serve(ctx context.Context, model string, port int, f modelFlags, given func(flag string) bool) (err error) {
	if port < 0 || port > 65535 {
		return usagef("--port must be between 0 and 65535, found %d", port)
	}
	c, path, err := a.openClassifier(ctx, model, f, given)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	page, err := serve.New(c, modelName(path))
	if err != nil {
		return err
	}
	a.setSink(quietSink{event.NewLines(a.stderr, a.settings.LogLevel)}) // an interrupt ends this, and no checkpoint is left
	defer a.setSink(nil)
	ready := func(url string) {
		fmt.Fprintf(a.stderr, "serving %s at %s (Ctrl-C ends this)\n", relative(path), url)
	}
	return local.Serve(ctx, page, port, ready, nil)
}

// modelName calls a model by its file, or by the run that has exported it.
func modelName(path string) string {
	name := filepath.Base(path)
	if abs, err := filepath.Abs(path); err == nil && name == "model.onnx" {
		dir := filepath.Dir(abs)
		if filepath.Base(dir) == "export" {
			dir = filepath.Dir(dir)
		}
		return filepath.Base(dir)
	}
	return strings.TrimSuffix(name, filepath.Ext(name))
}
