//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"syscall"

	"aig/internal/ref"
)

// checkMode refuses a private key that others may use, as ssh does. A file of another owner is that owner's business. rootsGroup lets
// the group of a file that root owns read it, also if we are root.
func checkMode(name string, info fs.FileInfo, uid int, rootsGroup bool) error {
	mode, others := info.Mode().Perm(), fs.FileMode(0o077)
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && stat.Uid == 0 && rootsGroup {
		others = 0o037
	}
	if ok && int(stat.Uid) != uid || mode&others == 0 {
		return nil
	}
	return fmt.Errorf("is a private key that others may use (mode %04o): chmod 600 %s", mode, ref.Show(name))
}
