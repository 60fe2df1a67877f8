package transport

import "os"

// StandardPipe is a pair of files as a pipe.
type StandardPipe struct {
	in, out *os.File
}

// Stdio makes a pipe of in and out, and takes them over.
func Stdio(in, out *os.File) *StandardPipe { return &StandardPipe{in, out} }

// Read reads from the input.
func (p *StandardPipe) Read(b []byte) (int, error) { return p.in.Read(b) }

// Write writes to the output.
func (p *StandardPipe) Write(b []byte) (int, error) { return p.out.Write(b) }

// Close closes both.
func (p *StandardPipe) Close() error {
	p.out.Close()
	return p.in.Close()
}
