package transport

import (
	"cmp"
	"os"
	"sync"
)

// StandardPipe is a pair of files as a pipe, as made by [Stdio]. Its methods may be called from any goroutine.
type StandardPipe struct {
	in, out *os.File
	close   func() error
}

// Stdio makes a pipe of in and out, normally [os.Stdin] and [os.Stdout]. Nobody else may use them until Close. Errors show at
// the first Read or Write.
func Stdio(in, out *os.File) *StandardPipe {
	// Both may be one open file: sshd starts programs with one socket as both. What was set last is restored first, so that it
	// gets back the mode that it had before both.
	in, restoreIn := unblockable(in)
	out, restoreOut := unblockable(out)
	return &StandardPipe{in, out, sync.OnceValue(func() error {
		// This waits for a Read or Write under way, so none can block in the mode that is restored next.
		err := cmp.Or(out.Close(), in.Close())
		restoreOut()
		restoreIn()
		return err
	})}
}

// Read reads from the input. After Close the error is [os.ErrClosed].
func (p *StandardPipe) Read(b []byte) (int, error) { return p.in.Read(b) }

// Write writes to the output. A broken pipe is an error, not a signal. After Close the error is [os.ErrClosed].
func (p *StandardPipe) Write(b []byte) (int, error) { return p.out.Write(b) }

// Close unblocks Read and Write, and is idempotent. The other side sees end of file when this process ends.
func (p *StandardPipe) Close() error { return p.close() }
