package train

import (
	"bytes"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// WriteRecipe writes how a network was trained: the settings of the stage with their names in a document, with channels, cells and epochs as a
// budget has come to.
func WriteRecipe(path string, s Settings) error {
	text, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing how the network was trained: %w", err)
	}
	return atomicfile.WriteBytes(path, text)
}

// ReadRecipe reads what WriteRecipe has written. The budget has been met already, so it is empty.
func ReadRecipe(path string) (Settings, error) {
	s := DefaultSettings()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&s)
	}
	if err == nil {
		s.Budget = DefaultBudget()
		err = s.Validate()
	}
	if err != nil {
		return s, fmt.Errorf("reading how the network was trained from %s: %w; let the stage that wrote it run again", path, err)
	}
	return s, nil
}
