package event

import (
	_ "embed"
	"slices"
)

//go:embed events.schema.json
var schema []byte

// Schema returns the JSON Schema of a line of an event file (see [File]), for programs that read them. Later versions may add
// fields and types of events; they do not change what there is.
func Schema() []byte { return slices.Clone(schema) }
