package runtime

// EnvironmentError says that the surroundings of the program are not usable: no library, another version,
// no such provider, a folder that cannot be written. Commands exit with code 3 on it.
type EnvironmentError struct {
	Problem string // what was being done, with what, and what was wrong, as one sentence without its period
	Remedy  string // what to install or set, as one sentence without its period
	Err     error  // the cause, when there is one
	// Passing tells that the same may succeed a little later, as after a lost connection.
	Passing bool
}

// Error implements error. It holds the problem, the cause and the remedy.
func (e *EnvironmentError) Error() string {
	text := e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Unwrap returns the cause.
func (e *EnvironmentError) Unwrap() error { return e.Err }

// Retryable says whether to try again may help; runs of documents with retries do so.
func (e *EnvironmentError) Retryable() bool { return e.Passing }
