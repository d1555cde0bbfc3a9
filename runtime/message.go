package runtime

import (
	"errors"
	"regexp"
	"strings"
)

var (
	// sourcePlace is where in its own source ONNX Runtime noticed an error, with the function's full signature and
	// the condition that did not hold.
	sourcePlace = regexp.MustCompile(`/\S+\.(?:cc|h|cpp):\d+ .*?(?:was false\. |\[ONNXRuntimeError\])`)
	// statusPrefix is the status in front of a message, such as " : 1 : FAIL : ".
	statusPrefix = regexp.MustCompile(`(?:\[ONNXRuntimeError\])?\s*: \d+ : [A-Z_]+ : `)
)

// plain removes from an error of ONNX Runtime what tells only its developers something. The cause is not kept: it is
// always a text.
func plain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, wrapper := range []string{"Error creating C session: ", "Error running network: ", "Platform-specific initialization failed: "} {
		text = strings.TrimPrefix(text, wrapper)
	}
	text = sourcePlace.ReplaceAllString(text, "")
	text = statusPrefix.ReplaceAllString(text, "")
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return err
	}
	return errors.New(text)
}
