package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Prober tries an execution provider of the library at a path where its failure does no harm. It returns nil when the
// provider works and otherwise why it does not.
type Prober func(ctx context.Context, library, provider string) error

// The variables by which a Prober tells its child process what to try.
const (
	probeProviderVariable = "PLATEAU_PROBE_PROVIDER"
	probeLibraryVariable  = "PLATEAU_PROBE_LIBRARY"
)

// probeMark begins the line in which the child reports, so that what a driver prints is not taken for it.
const probeMark = "plateau-probe: "

const probeTimeout = 90 * time.Second

// ProbeMain lets a program try execution providers in child processes of itself: a provider without a usable driver may
// end the process that asks for it. Call it first thing in main, or in TestMain, and put what it returns into
// Settings.Prober. In such a child it tries the provider and exits instead of returning.
func ProbeMain() Prober {
	provider, library := os.Getenv(probeProviderVariable), os.Getenv(probeLibraryVariable)
	if provider == "" {
		return probeChild
	}
	report := "ok"
	if _, err := load(library); err != nil {
		report = err.Error()
	} else if err := useProvider(provider); err != nil {
		report = plain(err).Error()
	}
	fmt.Println(probeMark + strings.ReplaceAll(report, "\n", " "))
	// The environment is left as it is: destroying it after a failure is what crashes.
	os.Exit(0)
	return nil
}

// probeChild is the Prober of a program that calls ProbeMain.
func probeChild(ctx context.Context, library, provider string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to try the provider in a child process: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer within %v", probeTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), probeProviderVariable+"="+provider, probeLibraryVariable+"="+library)
	ownGroup(cmd)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	for line := range strings.Lines(stdout.String()) {
		if report, ok := strings.CutPrefix(strings.TrimSpace(line), probeMark); ok {
			if report == "ok" && err == nil {
				return nil
			}
			if report != "ok" {
				return errors.New(report)
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
	if said != "" {
		said = " (" + said + ")"
	}
	return fmt.Errorf("trying it ended the child process: %w%s", err, said)
}
