//go:build unix

package pyenv

import (
	"fmt"
	"os"
	"syscall"
)

// trusted refuses a cache folder into which somebody else could put a Python:
// what lies there is run with this program's rights.
func trusted(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return unwritable(dir, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if uid := int(st.Uid); uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("the cache folder %s belongs to another user (%d): set %s to one of your own", dir, uid, CacheVariable)
	}
	if mode := info.Mode().Perm(); mode&0o002 != 0 {
		return fmt.Errorf("the cache folder %s can be written by every user (mode %04o): set %s to another, or chmod it to 0755", dir, mode, CacheVariable)
	}
	return nil
}
