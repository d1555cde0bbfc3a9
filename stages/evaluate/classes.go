package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/plateau-nas/plateau/pipeline"
)

// maxScores bounds the numbers in a file of class names.
const maxScores = 1 << 20

// ModelClasses returns the names of the classes that a model's metadata give, in the order of its scores: plateau's own
// list, a JSON list under classes, class_names or labels, or the dictionary of numbers and names that Ultralytics writes under
// names. It returns nil when there are none.
func ModelClasses(metadata map[string]string) []string {
	for _, key := range []string{KeyClasses, "classes", "class_names", "labels"} {
		var names []string
		if json.Unmarshal([]byte(metadata[key]), &names) == nil && len(names) > 0 {
			return names
		}
	}
	byScore := map[int]string{}
	for _, m := range pythonEntry.FindAllStringSubmatch(metadata["names"], -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && n < maxScores {
			byScore[n] = m[2] + m[3]
		}
	}
	names, err := listOf(byScore)
	if err != nil || len(names) == 0 {
		return nil
	}
	return names
}

// pythonEntry is an entry of a dictionary of numbers and strings as Python prints it.
var pythonEntry = regexp.MustCompile(`(\d+)\s*:\s*(?:'([^']*)'|"([^"]*)")`)

// ReadClasses reads the names of a model's classes, in the order of its scores, from a file: one name a line, a JSON list of
// names, or a JSON object of numbers to names or of names to numbers. Scores without a name get "".
func ReadClasses(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading class names: %w", err)
	}
	names, err := parseClasses(text)
	if err != nil {
		return nil, fmt.Errorf("reading class names from %s: %w", path, err)
	}
	return names, nil
}

func parseClasses(text []byte) ([]string, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	switch {
	case len(text) == 0:
		return nil, errors.New("the file is empty; want one name a line, in the order of the model's scores")
	case text[0] == '[':
		var names []string
		return names, json.Unmarshal(text, &names)
	case text[0] == '{':
		var entries map[string]any
		if err := json.Unmarshal(text, &entries); err != nil {
			return nil, err
		}
		byScore := map[int]string{}
		for key, value := range entries {
			name, number := key, -1
			switch v := value.(type) {
			case float64:
				if v >= 0 && v < maxScores && v == float64(int(v)) {
					number = int(v)
				}
			case string:
				if n, err := strconv.Atoi(key); err == nil && n >= 0 && n < maxScores {
					name, number = v, n
				}
			}
			if number < 0 {
				return nil, fmt.Errorf("the entry %q: %v is neither the number of a score with its name nor a name with its number", key, value)
			}
			if other, taken := byScore[number]; taken {
				return nil, fmt.Errorf("score %d has two names, %q and %q", number, min(name, other), max(name, other))
			}
			byScore[number] = name
		}
		return listOf(byScore)
	}
	names := strings.Split(string(text), "\n")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names, nil
}

func listOf(byScore map[int]string) ([]string, error) {
	var names []string
	for n := range byScore {
		if n >= len(names) {
			names = append(names, make([]string, n+1-len(names))...)
		}
	}
	for n, name := range byScore {
		names[n] = name
	}
	return names, nil
}

// MatchClasses finds the score of each class of a data set among the names of a model's classes. Upper and lower case,
// spaces, hyphens and underscores are alike. A name may give several by commas, and begin with a WordNet id, as those of
// ImageNet do: "n01440764 tench, Tinca tinca". A class without a score, with several, or that shares one is an error.
func MatchClasses(model, classes []string) ([]int, error) {
	whole, parts := map[string][]int{}, map[string][]int{}
	for i, name := range model {
		for at, alias := range aliases(name) {
			to := parts
			if at == 0 {
				to = whole
			}
			if list := to[alias]; alias != "" && (len(list) == 0 || list[len(list)-1] != i) {
				to[alias] = append(list, i)
			}
		}
	}
	var errs []error
	out, owner := make([]int, len(classes)), map[int]string{}
	for c, class := range classes {
		found := whole[fold(class)]
		if len(found) == 0 {
			found = parts[fold(class)]
		}
		switch {
		case len(found) == 0:
			near := ""
			if n := pipeline.Nearest(class, model); n != "" {
				near = fmt.Sprintf("; the nearest is %q", n)
			}
			errs = append(errs, fmt.Errorf("the model has no class %q%s", class, near))
		case len(found) > 1:
			errs = append(errs, fmt.Errorf("%q could be the model's class %d, %q, or %d, %q", class, found[0], model[found[0]], found[1], model[found[1]]))
		case owner[found[0]] != "":
			errs = append(errs, fmt.Errorf("%q and %q are both the model's class %d, %q", owner[found[0]], class, found[0], model[found[0]]))
		default:
			out[c], owner[found[0]] = found[0], class
		}
	}
	if more := len(errs) - 5; more > 0 {
		errs = append(errs[:5], fmt.Errorf("and %d more", more))
	}
	return out, errors.Join(errs...)
}

var (
	wordNetID = regexp.MustCompile(`^n\d{8}\b`)
	separator = regexp.MustCompile(`[\s_-]+`)
)

// fold brings a name to the form in which names are compared: composed (NFC), since systems write the same letters in two ways.
func fold(name string) string {
	return strings.TrimSpace(separator.ReplaceAllString(strings.ToLower(norm.NFC.String(name)), " "))
}

// aliases returns the folded names of a class, the whole one first.
func aliases(name string) []string {
	out := []string{fold(name)}
	if id := wordNetID.FindString(name); id != "" {
		out = append(out, id)
		name = strings.TrimLeft(name[len(id):], " ,:\t")
		out = append(out, fold(name))
	}
	for _, part := range strings.Split(name, ",") {
		out = append(out, fold(part))
	}
	return out
}
