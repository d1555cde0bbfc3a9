package cmd

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/runtime"
)

func newVersionCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of plateau, and of what it was built with",
		Example: "  plateau version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := a.versions()
			if asJSON {
				return printJSON(a.stdout, info)
			}
			return writeAll(a.stdout, a.versionLine())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as a JSON object")
	return cmd
}

// versionInfo is what version --json prints.
type versionInfo struct {
	Version     string `json:"version"`
	ONNXRuntime string `json:"onnxruntime"` // the version that is used
	Go          string `json:"go"`
	Platform    string `json:"platform"`
}

func (a *app) versions() versionInfo {
	return versionInfo{a.versionText(), runtime.Version, goruntime.Version(), goruntime.GOOS + "/" + goruntime.GOARCH}
}

// versionLine is what version and --version print.
func (a *app) versionLine() string {
	v := a.versions()
	return fmt.Sprintf("plateau %s (ONNX Runtime %s, %s, %s)\n", v.Version, v.ONNXRuntime, v.Go, v.Platform)
}

// versionText is the release's version, else what the Go tool knows about the build.
func (a *app) versionText() string {
	if a.version != "" {
		return a.version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
