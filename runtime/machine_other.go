//go:build !linux && !darwin && !windows

package runtime

import "errors"

// memory is not known on this system.
func memory() (total, available uint64, err error) {
	return 0, 0, errors.New("this system's memory cannot be read")
}

// freeSpace is not known on this system.
func freeSpace(string) (uint64, error) {
	return 0, errors.New("this system's free space cannot be read")
}
