package runtime

import "golang.org/x/sys/unix"

// memory returns the machine's memory in bytes. What of it is available is not told by a system call; 0 says so.
func memory() (total, available uint64, err error) {
	total, err = unix.SysctlUint64("hw.memsize")
	return total, 0, err
}

// freeSpace returns how many bytes an ordinary user can still write to the disk that holds dir.
func freeSpace(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
