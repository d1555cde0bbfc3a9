package kernels

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed cuda.txt
var cuda string

// CUDA is the name of the provider whose table is known.
const CUDA = "cuda"

// table is what is known of a provider's kernels. Operators are those of the standard domain.
type table struct {
	sets      map[string][]string
	kernels   map[string]kernel
	limits    map[string][]limit
	functions map[string][]function
}

// kernel is an operator that the provider implements.
type kernel struct {
	inputs, outputs []string // type parameters or element types; with a star at the end it stands for all that follow
	versions        []version
}

// version is a range of operator set versions and the element types that each type parameter may take in them.
type version struct {
	first, last int64
	types       map[string][]string
}

// limit is an integer attribute for which a kernel does not do what ONNX says.
type limit struct {
	attribute string
	value     int64
	why       string
}

// function is what ONNX defines an operator by in a range of versions.
type function struct {
	first, last int64
	body        []string
}

// tableOf parses the table of a provider.
func tableOf(provider string) (*table, error) {
	if provider != CUDA {
		return nil, fmt.Errorf("kernels of the provider %q: only those of %s are known", provider, CUDA)
	}
	t, err := parse(cuda)
	if err != nil {
		return nil, fmt.Errorf("kernels of the provider %q: %w", provider, err)
	}
	return t, nil
}

// parse reads the format that cuda.txt describes.
func parse(text string) (*table, error) {
	t := &table{sets: map[string][]string{}, kernels: map[string]kernel{}, limits: map[string][]limit{}, functions: map[string][]function{}}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		head, rest, ok := strings.Cut(line, ": ")
		word, subject, both := strings.Cut(head, " ")
		if !ok || !both {
			return nil, fmt.Errorf("line %d: %q does not read WORD SUBJECT: CONTENT", i+1, line)
		}
		var err error
		switch word {
		case "set":
			t.sets[subject] = strings.Fields(rest)
		case "kernel":
			err = t.addKernel(subject, rest)
		case "not":
			err = t.addLimit(subject, rest)
		case "function":
			err = t.addFunction(subject, strings.Fields(rest))
		default:
			err = fmt.Errorf("the word %q is not known", word)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return t, nil
}

// addKernel takes OPERATOR(inputs)outputs and the versions.
func (t *table) addKernel(subject, versions string) error {
	op, rest, ok := strings.Cut(subject, "(")
	in, out, closed := strings.Cut(rest, ")")
	if _, twice := t.kernels[op]; !ok || !closed || twice {
		return fmt.Errorf("%q is not a new OPERATOR(inputs)outputs", subject)
	}
	k := kernel{inputs: strings.Fields(in), outputs: strings.Fields(out)}
	for _, text := range strings.Split(versions, ";") {
		fields := strings.Fields(text)
		if len(fields) == 0 {
			return fmt.Errorf("%s has versions without content", op)
		}
		v := version{types: map[string][]string{}}
		var err error
		if v.first, v.last, err = parseVersions(fields[0]); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		for _, f := range fields[1:] {
			name, types, ok := strings.Cut(f, "=")
			if !ok {
				return fmt.Errorf("%s: %q is not PARAMETER=types", op, f)
			}
			for _, typ := range strings.Split(types, ",") {
				if set, ok := t.sets[typ]; ok {
					v.types[name] = append(v.types[name], set...)
				} else {
					v.types[name] = append(v.types[name], typ)
				}
			}
		}
		k.versions = append(k.versions, v)
	}
	t.kernels[op] = k
	return nil
}

// addLimit takes OPERATOR ATTRIBUTE=value and the reason.
func (t *table) addLimit(subject, why string) error {
	op, setting, _ := strings.Cut(subject, " ")
	name, text, _ := strings.Cut(setting, "=")
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not OPERATOR ATTRIBUTE=integer", subject)
	}
	t.limits[op] = append(t.limits[op], limit{name, value, why})
	return nil
}

// addFunction takes OPERATOR versions and the operators of its body.
func (t *table) addFunction(subject string, body []string) error {
	op, versions, _ := strings.Cut(subject, " ")
	first, last, err := parseVersions(versions)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	t.functions[op] = append(t.functions[op], function{first, last, body})
	return nil
}

// parseVersions reads 13, 13+ or 7-12.
func parseVersions(text string) (first, last int64, err error) {
	from, to, ranged := strings.Cut(text, "-")
	from, open := strings.CutSuffix(from, "+")
	if first, err = strconv.ParseInt(from, 10, 32); err != nil || open && ranged {
		return 0, 0, fmt.Errorf("%q is not a range of versions", text)
	}
	switch {
	case open:
		return first, math.MaxInt64, nil
	case !ranged:
		return first, first, nil
	}
	if last, err = strconv.ParseInt(to, 10, 32); err != nil || last < first {
		return 0, 0, fmt.Errorf("%q is not a range of versions", text)
	}
	return first, last, nil
}

// at returns the kernel's version for an operator set. Of several, the one that begins last counts.
func (k kernel) at(opset int64) (version, bool) {
	best, found := version{}, false
	for _, v := range k.versions {
		if v.first <= opset && opset <= v.last && (!found || v.first > best.first) {
			best, found = v, true
		}
	}
	return best, found
}

// parameter returns what stands at position i of a list of inputs or outputs, and whether there is such a position.
func parameter(list []string, i int) (string, bool) {
	if i < len(list) {
		return strings.TrimSuffix(list[i], "*"), true
	}
	if n := len(list); n > 0 && strings.HasSuffix(list[n-1], "*") {
		return strings.TrimSuffix(list[n-1], "*"), true
	}
	return "", false
}

// allows reports whether a version lets a parameter, or a position of a fixed type, have the element type.
func (v version) allows(parameter, typ string) bool {
	types, ok := v.types[parameter]
	if !ok {
		// Either a fixed type or a parameter that this version names differently.
		return !isElementType(parameter) || parameter == typ
	}
	return slices.Contains(types, typ)
}
