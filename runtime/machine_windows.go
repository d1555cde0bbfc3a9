package runtime

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memory returns the machine's memory in bytes and how much of it is free.
func memory() (total, available uint64, err error) {
	// MEMORYSTATUSEX
	var status struct {
		length, load                                     uint32
		totalPhys, availPhys, totalPage, availPage       uint64
		totalVirtual, availVirtual, availExtendedVirtual uint64
	}
	status.length = uint32(unsafe.Sizeof(status))
	ok, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx").Call(uintptr(unsafe.Pointer(&status)))
	if ok == 0 {
		return 0, 0, err
	}
	return status.totalPhys, status.availPhys, nil
}

// freeSpace returns how many bytes this user can still write to the disk that holds dir.
func freeSpace(dir string) (uint64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free, total, totalFree uint64
	err = windows.GetDiskFreeSpaceEx(path, &free, &total, &totalFree)
	return free, err
}
