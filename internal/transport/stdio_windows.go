package transport

import "os"

// unblockable returns the file itself, whose Close unblocks a pipe's Read and Write already.
func unblockable(f *os.File) (*os.File, func()) { return f, func() {} }
