//go:build unix && !linux

package transport

// runs returns true: whether all members of a process group are zombies can't be
// told here.
func runs(int) bool { return true }
