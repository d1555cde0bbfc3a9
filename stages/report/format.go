package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// number writes v with the given decimals and a true minus sign.
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return "–"
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	return strings.Replace(text, "-", "−", 1)
}

// signed is number with a plus sign before what is above zero.
func signed(v float64, decimals int) string {
	text := number(v, decimals)
	if v > 0 && strings.Trim(text, "0.") != "" {
		return "+" + text
	}
	return text
}

// score writes a score, which is the negative of a loss most often.
func score(v float64) string { return number(v, 3) }

// percent writes a share of 0 to 1.
func percent(v float64) string { return number(100*v, 1) + "%" }

// magnitude writes a large number with three digits and a unit: "40.8 M".
func magnitude(n int64) string { return scaled(float64(n), 1000, []string{"", " k", " M", " G", " T"}) }

// size writes a number of bytes.
func size(n int64) string { return scaled(float64(n), 1024, []string{" B", " KiB", " MiB", " GiB"}) }

func scaled(v, base float64, units []string) string {
	i := 0
	for v >= base && i+1 < len(units) {
		v /= base
		i++
	}
	switch {
	case i == 0 || v >= 100:
		return number(v, 0) + units[i]
	case v >= 10:
		return number(v, 1) + units[i]
	}
	return number(v, 2) + units[i]
}

// pair is a row of a table of facts.
type pair struct{ Name, Value string }

// flatten lists settings by their full names, sorted; nested ones are "outer.inner".
func flatten(settings map[string]any) []pair {
	var out []pair
	var add func(prefix string, v any)
	add = func(prefix string, v any) {
		if nested, ok := v.(map[string]any); ok {
			for _, key := range sortedKeys(nested) {
				add(strings.TrimPrefix(prefix+"."+key, "."), nested[key])
			}
			return
		}
		text := fmt.Sprint(v)
		if _, plain := v.(string); !plain {
			if data, err := json.Marshal(v); err == nil {
				text = string(data)
			}
		}
		out = append(out, pair{prefix, text})
	}
	add("", settings)
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
