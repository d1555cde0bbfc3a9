package verify

import (
	"os"
	"strings"
	"testing"
)

// The independent decoder works with exactly these versions of the packages around it. Newer ones of gorgonia and its
// tensors have changed the interfaces that it was written for.
func TestVersionsOfTheIndependentDecoder(t *testing.T) {
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 {
			have[fields[0]] = fields[1]
		}
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod replaces a module: %q", strings.TrimSpace(line))
		}
	}
	for module, version := range map[string]string{
		"github.com/owulveryck/onnx-go": "v0.5.0",
		"github.com/gogo/protobuf":      "v1.3.2",
		"gorgonia.org/gorgonia":         "v0.9.4",
		"gorgonia.org/tensor":           "v0.9.3",
	} {
		if have[module] != version {
			t.Errorf("go.mod has %s %q instead of %s", module, have[module], version)
		}
	}
}
