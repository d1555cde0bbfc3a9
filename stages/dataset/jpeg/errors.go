package jpeg

import (
	"errors"
	"fmt"
)

// UnsupportedError says that a file is a JPEG of a kind that this package does not read. The file is not damaged.
type UnsupportedError struct{ Feature string }

// Error implements error.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this kind of JPEG is not supported: %s; convert it, for example to PNG", e.Feature)
}

// errShort says that a file ends before its last pixel.
var errShort = errors.New("the file ends before the picture does")

func malformed(format string, args ...any) error { return fmt.Errorf(format, args...) }
