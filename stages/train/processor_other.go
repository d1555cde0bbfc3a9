//go:build !unix

package train

import "time"

// processorTime returns a negative time: what the process has used of the processors is not known here.
func processorTime() time.Duration { return -1 }
