package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// printSummary tells people at the end what came out, and where it is.
func printSummary(w io.Writer, r *pipeline.Result) {
	var b strings.Builder
	reused, skipped := 0, 0
	stages, wide := 0, 0 // widths of the names of stages, and of files and metrics
	for _, s := range r.Stages {
		if s.Cached {
			reused++
		}
		if s.Status == pipeline.StatusNotRun {
			skipped++
		}
		stages = max(stages, len(s.ID))
		for _, o := range s.Outputs {
			wide = max(wide, len(filepath.Join(s.ID, filepath.Base(o.Path))))
		}
		for _, m := range s.Metrics {
			wide = max(wide, len(m.Name))
			if variantHas(r.Stages, s, m.Name) {
				wide = max(wide, len(s.ID+" "+m.Name))
			}
		}
	}
	fmt.Fprintf(&b, "\n%s: done in %s", r.Run, event.FormatSeconds(r.Seconds))
	if reused > 0 {
		fmt.Fprintf(&b, ", %d of %d stages reused", reused, len(r.Stages))
	}
	if skipped > 0 {
		fmt.Fprintf(&b, ", %d not chosen", skipped)
	}
	b.WriteString("\n")
	for _, s := range r.Stages {
		if s.Summary == "" {
			continue
		}
		indent := strings.Repeat(" ", stages+4)
		text := strings.ReplaceAll(strings.TrimRight(s.Summary, "\n"), "\n", "\n"+indent)
		fmt.Fprintf(&b, "\n  %-*s  %s", stages, s.ID, text)
	}
	writeMetrics(&b, r, wide)
	writeFiles(&b, r, wide)
	_, _ = io.WriteString(w, b.String()) // if stderr is gone, nobody is there to be told
}

func writeMetrics(b *strings.Builder, r *pipeline.Result, wide int) {
	final := r.Metrics()
	if len(final) == 0 {
		return
	}
	b.WriteString("\n\nmetrics\n")
	var lines []string
	for i, s := range r.Stages {
		for _, m := range s.Metrics {
			switch {
			case variantHas(r.Stages, s, m.Name):
				lines = append(lines, fmt.Sprintf("  %-*s  %s\n", wide, s.ID+" "+m.Name, event.FormatValue(m.Value)))
			case !laterHas(r.Stages[i+1:], m.Name):
				lines = append(lines, fmt.Sprintf("  %-*s  %s\n", wide, m.Name, event.FormatValue(m.Value)))
			}
		}
	}
	writeFirst(b, lines, r)
}

// writeFirst writes the first lines of a long list, and says where all of it is.
func writeFirst(b *strings.Builder, lines []string, r *pipeline.Result) {
	const most = 40
	if len(lines) <= most+1 {
		b.WriteString(strings.Join(lines, ""))
		return
	}
	b.WriteString(strings.Join(lines[:most], ""))
	fmt.Fprintf(b, "  and %d more: plateau runs show %s\n", len(lines)-most, relative(r.Dir))
}

// laterHas says whether a stage gives a metric again; the last one counts.
func laterHas(stages []*pipeline.StageResult, name string) bool {
	for _, s := range stages {
		for _, m := range s.Metrics {
			if m.Name == name {
				return true
			}
		}
	}
	return false
}

// variantHas says whether another variant of a stage gives the same metric; then each one's is shown.
func variantHas(stages []*pipeline.StageResult, s *pipeline.StageResult, name string) bool {
	template, _, ok := strings.Cut(s.ID, "@")
	if !ok {
		return false
	}
	for _, o := range stages {
		if o != s && strings.HasPrefix(o.ID, template+"@") && slices.ContainsFunc(o.Metrics, func(m event.Value) bool { return m.Name == name }) {
			return true
		}
	}
	return false
}

func writeFiles(b *strings.Builder, r *pipeline.Result, wide int) {
	if len(r.Metrics()) == 0 {
		b.WriteString("\n\n")
	} else {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "files in %s\n", relative(r.Dir))
	var lines []string
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			lines = append(lines, fmt.Sprintf("  %-*s  %s\n", wide, filepath.Join(s.ID, filepath.Base(o.Path)), formatBytes(o.Size)))
		}
	}
	writeFirst(b, lines, r)
}

// relative shortens a path below the working directory.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

func formatBytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
