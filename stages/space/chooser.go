package space

// Chooser is implemented by the settings of stages that decide which space the stages after them search.
type Chooser interface {
	// SearchSpace returns the space, or an error where the settings give none.
	SearchSpace() (*Space, error)
}

// Chosen returns the space that the first Chooser among the stages decides on. It is nil when none of them does.
func Chosen[T any](stages []T) *Space {
	for _, s := range stages {
		if c, ok := any(s).(Chooser); ok {
			if sp, err := c.SearchSpace(); err == nil {
				return sp
			}
		}
	}
	return nil
}
