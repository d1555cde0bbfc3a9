package result

import (
	"errors"
	"fmt"
)

// Checks is the content of checks.json: what an exported model was tested for.
type Checks struct {
	Checks  []Check `json:"checks"`
	Library string  `json:"library"` // the runtime that ran the model: "ONNX Runtime 1.27.0"
	Opset   int     `json:"opset"`   // of the model
}

// Check is one property that was tested.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"` // what was measured, in one line; why, of a check that was not made
	// Skipped says that the check could not be made, so that it has neither passed nor failed.
	Skipped bool `json:"skipped,omitempty"`
}

// Made counts the checks that were made.
func (c *Checks) Made() int {
	n := 0
	for _, one := range c.Checks {
		if !one.Skipped {
			n++
		}
	}
	return n
}

// Failed returns the checks that were made and did not pass.
func (c *Checks) Failed() []Check {
	var failed []Check
	for _, one := range c.Checks {
		if !one.Passed && !one.Skipped {
			failed = append(failed, one)
		}
	}
	return failed
}

func (c *Checks) check() error {
	if len(c.Checks) == 0 {
		return errors.New("there is no check in it")
	}
	for i, one := range c.Checks {
		if one.Name == "" {
			return fmt.Errorf("check %d has no name", i)
		}
		if one.Passed && one.Skipped {
			return fmt.Errorf("check %s has passed and was not made", one.Name)
		}
	}
	return nil
}

// ReadChecks reads a checks.json.
func ReadChecks(path string) (*Checks, error) {
	var c Checks
	if err := readJSON(path, "checks", &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// WriteChecks writes a checks.json.
func WriteChecks(path string, c *Checks) error { return writeJSON(path, "checks", c) }
