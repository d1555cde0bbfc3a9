package command

import (
	"math"
	"testing"
)

// Whatever a command writes, an answer that is taken has a finite number for every name.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"latency_ms": 3.5, "size": 1e3}`, `{"latency_ms": NaN}`, `{"latency_ms": null}`, `{"latency_ms": 1e999}`, `[1]`, `{}`, ``, `null`, `{"latency_ms": 1}{}`,
		`{"latency_ms": {"latency_ms": 1}}`, "\ufeff{\"latency_ms\": 1}", `{"latency_ms": 1, "latency_ms": "2"}`, "\x00", `{"latency_ms": -0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		out, err := parse(answer, []string{"latency_ms", "size"})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, name := range []string{"latency_ms", "size"} {
			if v, ok := out[name]; !ok || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%q gives %v for %s", answer, v, name)
			}
		}
	})
}
