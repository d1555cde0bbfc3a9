package pipeline

import (
	"bufio"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// budget is what the stages of a run may take together.
func (r *Runner) budget() Resources {
	b := r.Resources
	if b.Cores <= 0 {
		b.Cores = runtime.GOMAXPROCS(0) // the cores of the machine, or of the container that this runs in
	}
	if b.Memory <= 0 {
		b.Memory = machineMemory()
	}
	return b
}

// machineMemory returns the memory of the machine, or of the container that this runs in, in bytes; where it cannot be found
// out, there is no limit.
func machineMemory() int64 {
	limit := int64(math.MaxInt64)
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if v, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil { // or "max"
			limit = v
		}
	}
	return min(limit, totalMemory())
}

func totalMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return math.MaxInt64
	}
	defer func() { _ = f.Close() }() // only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // MemTotal: 16303428 kB
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return math.MaxInt64
}
