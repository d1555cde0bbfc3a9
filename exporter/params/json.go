package params

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// document is the form of parameters.json.
type document struct {
	Total      int         `json:"total"` // elements of all parameters together
	Parameters []Parameter `json:"parameters"`
}

// MarshalJSON writes the index as {"total": N, "parameters": [{name, shape, offset, init}, ...]}.
func (ix *Index) MarshalJSON() ([]byte, error) {
	d := document{Total: ix.total, Parameters: ix.params}
	if d.Parameters == nil {
		d.Parameters = []Parameter{}
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads what MarshalJSON writes and checks that names are unique and offsets follow from the shapes.
func (ix *Index) UnmarshalJSON(data []byte) error {
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("reading parameter index: %w", err)
	}
	var out Index
	for _, p := range d.Parameters {
		room := math.MaxInt32 - out.total
		for _, s := range p.Shape {
			if s > 0 {
				room /= s
			}
		}
		if room == 0 {
			return fmt.Errorf("reading parameter index: the shape %v of %q is larger than a vector can be", p.Shape, p.Name)
		}
		if p.Offset != out.total {
			return fmt.Errorf("reading parameter index: %q begins at %d, but the parameters before it end at %d", p.Name, p.Offset, out.total)
		}
		if err := out.Add(p.Name, p.Init, p.Shape...); err != nil {
			return fmt.Errorf("reading parameter index: %w", err)
		}
	}
	if d.Total != out.total {
		return fmt.Errorf("reading parameter index: total is %d, but the parameters have %d elements", d.Total, out.total)
	}
	*ix = out
	return nil
}

// Save writes the index to a file, one parameter a line.
func (ix *Index) Save(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "{\"total\": %d, \"parameters\": [", ix.total); err != nil {
			return err
		}
		for i, p := range ix.params {
			line, err := json.Marshal(p)
			if err != nil {
				return err
			}
			sep := ",\n"
			if i == 0 {
				sep = "\n"
			}
			if _, err := fmt.Fprintf(w, "%s  %s", sep, line); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "\n]}\n")
		return err
	})
}

// Load reads an index from a file.
func Load(path string) (*Index, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading parameter index: %w", err)
	}
	ix := new(Index)
	if err := json.Unmarshal(data, ix); err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	return ix, nil
}
