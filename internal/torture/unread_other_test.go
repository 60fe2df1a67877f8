//go:build !linux

package torture

import "os"

// unread returns 0: this system can't tell.
func unread(*os.File) int { return 0 }
