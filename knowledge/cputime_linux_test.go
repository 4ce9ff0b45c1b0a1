package knowledge_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor time of this thread, which a busy machine does
// not lengthen as it does time.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
