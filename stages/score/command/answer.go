package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
)

// notJSON finds what programs write for numbers that JSON does not have.
var notJSON = regexp.MustCompile(`(?i)[:\s,\[{]-?(nan|inf(inity)?)\b`)

// parse reads the wanted numbers from an answer: one JSON object. Other entries are passed over.
func parse(answer []byte, wanted []string) (map[string]float64, error) {
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.UseNumber()
	var object map[string]any
	err := dec.Decode(&object)
	if err == nil && object == nil {
		err = errors.New("it is null")
	}
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		switch text := strings.TrimSpace(string(answer)); {
		case text == "":
			return nil, errors.New("the command answered with nothing; it must write one JSON object of numbers to standard output")
		case notJSON.MatchString(text):
			return nil, fmt.Errorf("the command answered with a number that is none (NaN or infinite): %s", excerpt(text))
		default:
			return nil, fmt.Errorf("the command did not answer with one JSON object: %w; it wrote %s", err, excerpt(text))
		}
	}
	out := make(map[string]float64, len(wanted))
	for _, name := range wanted {
		value, ok := object[name]
		if !ok {
			known := slices.Sorted(maps.Keys(object))
			hint := "it is empty"
			if len(known) > 0 {
				hint = pipeline.Suggest(name, "entries", known)
			}
			return nil, fmt.Errorf("the command's answer has no number %q; %s", name, hint)
		}
		number, ok := value.(json.Number)
		if !ok {
			text, _ := json.Marshal(value) // it was JSON before
			return nil, fmt.Errorf("the command's answer has no number for %q but %s", name, excerpt(string(text)))
		}
		v, err := number.Float64()
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, fmt.Errorf("the command's answer has %s for %q, which is beyond all numbers", number, name)
		}
		out[name] = v
	}
	return out, nil
}
