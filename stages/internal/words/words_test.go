package words_test

import (
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/words"
)

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 seed":           words.Count(1, "seed"),
		"0 seeds":          words.Count(0, "seed"),
		"2 passes":         words.Count(2, "pass"),
		"1,234,567 images": words.Count(1234567, "image"),
		"999 images":       words.Count(999, "image"),
		"-1,000":           words.Grouped(-1000),
		"-100":             words.Grouped(-100),
	} {
		if got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}
