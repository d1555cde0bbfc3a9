// Package words writes numbers for people.
package words

import (
	"strconv"
	"strings"
)

// Grouped writes a number with commas between thousands.
func Grouped[T int | int64](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Count writes a count with its noun: "1 seed", "1,500 seeds".
func Count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return Grouped(n) + " " + noun + "es"
	}
	return Grouped(n) + " " + noun + "s"
}
