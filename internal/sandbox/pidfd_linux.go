package sandbox

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfdInfo is struct pidfd_info of Linux 6.15.
type pidfdInfo struct {
	mask, cgroup uint64
	ids          [11]uint32
	exit         int32
}

const (
	pidfdGetInfo  = 0xC040FF0B
	pidfdInfoExit = 1 << 3
)

// exitOfHandle asks the kernel how the process behind a pidfd ended, which it
// tells once the process has been reaped: just about now.
func exitOfHandle(handle int) (unix.WaitStatus, bool) {
	for range 200 {
		info := pidfdInfo{mask: pidfdInfoExit}
		if ioctl(uintptr(handle), pidfdGetInfo, unsafe.Pointer(&info)) == nil && info.mask&pidfdInfoExit != 0 {
			return unix.WaitStatus(info.exit), true
		}
		time.Sleep(time.Millisecond)
	}
	return 0, false
}

// kernelAtLeast compares the version of the running kernel.
func kernelAtLeast(major, minor int) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var x, y int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &x, &y); err != nil {
		return false
	}
	return x > major || x == major && y >= minor
}
