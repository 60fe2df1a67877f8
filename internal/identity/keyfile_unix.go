//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"syscall"

	"aig/internal/ref"
)

// checkMode refuses a private key that others may use. For a user's own key it has ssh's rule: a file of another owner is that owner's
// business. A service's may be readable by a group if root owns it: so an administrator gives it the key.
func checkMode(name string, info fs.FileInfo, uid int, service bool) error {
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case mode&0o077 == 0,
		ok && service && stat.Uid == 0 && mode&0o037 == 0,
		ok && !service && int(stat.Uid) != uid:
		return nil
	}
	return fmt.Errorf("is a private key that others may use (mode %04o): chmod 600 %s", mode, ref.Show(name))
}
