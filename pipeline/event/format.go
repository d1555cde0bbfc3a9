package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// This file turns the parts of an event into short texts for people.

// FormatValue writes a number in as few characters as tell values of its size apart: 3, 0.4121, 1.23e-05.
func FormatValue(v float64) string {
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'g', -1, 64)
	case v == math.Trunc(v) && abs < 1e15:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 0.001 && abs < 1000:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case abs < 1e6 && abs >= 1000:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// FormatSeconds writes a span of time with two units at most: 0.4s, 12s, 3m05s, 2h07m.
func FormatSeconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case s < 0 || math.IsNaN(s) || s > 1e9:
		return "?"
	case s < 9.95:
		return strconv.FormatFloat(s, 'f', 1, 64) + "s"
	case s < 59.5:
		return strconv.FormatFloat(s, 'f', 0, 64) + "s"
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// formatValues joins values as "loss 1.832, valid_top1 0.4120".
func formatValues(values []Value, sep string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = v.Name + " " + FormatValue(v.Value)
	}
	return strings.Join(parts, sep)
}

// formatCount says how far a progress is: "epoch 3/20", "37 architectures".
func formatCount(p *Progress) string {
	unit := p.Unit
	if p.Total > 0 {
		return strings.TrimSpace(fmt.Sprintf("%s %d/%d", unit, p.Done, p.Total))
	}
	if p.Done == 0 {
		return ""
	}
	if unit != "" && p.Done != 1 {
		unit = plural(unit)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", p.Done, unit))
}

func plural(unit string) string {
	switch {
	case strings.HasSuffix(unit, "s"), strings.HasSuffix(unit, "x"), strings.HasSuffix(unit, "ch"):
		return unit + "es"
	}
	return unit + "s"
}

// formatPace says how fast it goes and how long it will take.
func formatPace(p *Progress, sep string) string {
	var parts []string
	if p.Rate > 0 {
		parts = append(parts, strconv.FormatFloat(p.Rate, 'f', precision(p.Rate), 64)+" steps/s")
	}
	if p.Remaining > 0 {
		parts = append(parts, FormatSeconds(p.Remaining)+" left")
	}
	return strings.Join(parts, sep)
}

func precision(rate float64) int {
	switch {
	case rate >= 100:
		return 0
	case rate >= 1:
		return 1
	}
	return 2
}

// oneLine makes a text safe to print in a line: control characters, which could move the cursor, become spaces.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// cut shortens a text to a width in terminal cells.
func cut(s string, width int) string {
	if runewidth.StringWidth(s) <= width {
		return s
	}
	if width < 4 {
		return runewidth.Truncate(s, max(width, 0), "")
	}
	return runewidth.Truncate(s, width, "...")
}

// pad fills a text up to a width in terminal cells.
func pad(s string, width int) string { return runewidth.FillRight(s, width) }
