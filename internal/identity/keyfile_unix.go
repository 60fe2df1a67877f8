//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"syscall"

	"aig/internal/ref"
)

// checkMode refuses a private key that others may use, as ssh does. A file of another owner is that owner's business.
func checkMode(name string, info fs.FileInfo, uid int) error {
	mode := info.Mode().Perm()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != uid || mode&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("is a private key that others may use (mode %04o): chmod 600 %s", mode, ref.Show(name))
}
