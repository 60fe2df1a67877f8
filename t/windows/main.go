// Command windows lets a Windows program under Wine use this machine's git and sh. Called git.exe or sh.exe, it is a double: it has the
// listener at AIG_UNIX run the real program, and passes on arguments, environment, streams and exit status. Called anything else, it is
// the listener, on loopback, and prints its address.
//
// The real programs know no drives. The root directory is Wine's Z:, so incoming paths are translated; paths that git prints are given
// as Git for Windows gives them, with the drive and slashes.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// call is what a double asks the listener to run.
type call struct {
	Program string
	Args    []string
	Env     []string
	Dir     string
}

// The streams of a connection. A frame is a byte that names one, four with a length, and that many bytes. Length 0 ends the stream.
const (
	streamCall = iota
	streamIn
	streamOut
	streamErr
	streamExit
)

func main() {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(os.Args[0])), ".exe")
	if name == "git" || name == "sh" {
		status, err := double(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "fatal: double of %s: %v\n", name, err)
			status = 127
		}
		os.Exit(status)
	}
	fmt.Fprintln(os.Stderr, "fatal:", listen())
	os.Exit(1)
}

// conn writes whole frames, from several goroutines.
type conn struct {
	net.Conn
	mu sync.Mutex
}

func (c *conn) send(stream byte, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame := binary.BigEndian.AppendUint32([]byte{stream}, uint32(len(data)))
	_, err := c.Write(append(frame, data...))
	return err
}

func (c *conn) receive() (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	data := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(c, data)
	return head[0], data, err
}

// copyFrom sends all of r, and its end.
func (c *conn) copyFrom(stream byte, r io.Reader, translate func([]byte) []byte) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := c.send(stream, translate(buf[:n])); err != nil {
				return err
			}
		}
		if err != nil {
			return c.send(stream, nil)
		}
	}
}

func asItIs(b []byte) []byte { return b }

// double has a program run elsewhere and returns its exit status.
func double(name string) (int, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	nc, err := net.Dial("tcp", os.Getenv("AIG_UNIX"))
	if err != nil {
		return 0, err
	}
	c := &conn{Conn: nc}
	asked, err := json.Marshal(call{name, os.Args[1:], os.Environ(), dir})
	if err != nil {
		return 0, err
	}
	if err := c.send(streamCall, asked); err != nil {
		return 0, err
	}
	// It ends with the process: a read of standard input can't be interrupted.
	go c.copyFrom(streamIn, os.Stdin, asItIs)
	for {
		stream, data, err := c.receive()
		if err != nil {
			return 0, err
		}
		to := os.Stdout
		switch {
		case stream == streamExit:
			return int(data[0]), nil
		case stream == streamErr:
			to = os.Stderr
		}
		if len(data) == 0 {
			to.Close()
		} else if _, err := to.Write(data); err != nil {
			return 0, err
		}
	}
}

// listen serves doubles until accepting fails.
func listen() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			if err := serve(&conn{Conn: nc}); err != nil {
				fmt.Fprintln(os.Stderr, "double:", err)
			}
		}()
	}
}

// serve runs the program for one double. If the double is killed, it kills the program.
func serve(c *conn) error {
	_, data, err := c.receive()
	if err != nil {
		return err
	}
	var asked call
	if err := json.Unmarshal(data, &asked); err != nil {
		return err
	}
	cmd := exec.Command(asked.Program)
	for _, arg := range asked.Args {
		if asked.Program == "git" {
			arg = toUnix(arg)
		}
		cmd.Args = append(cmd.Args, arg)
	}
	cmd.Dir = toUnix(asked.Dir)
	cmd.Env = os.Environ()
	for _, v := range asked.Env {
		if name, value, _ := strings.Cut(v, "="); regexp.MustCompile(`^(GIT|AIG)_|^TRUST$|^LC_ALL$`).MatchString(name) && name != "AIG_UNIX" {
			// Git for Windows separates directories by semicolons.
			cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(toUnix(value), ";", ":"))
		}
	}
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
		return err
	}
	out := asItIs
	if asked.Program == "git" && slices.Contains(asked.Args, "rev-parse") {
		out = toWindows
	}
	var copies sync.WaitGroup
	copies.Go(func() { c.copyFrom(streamOut, stdout, out) })
	copies.Go(func() { c.copyFrom(streamErr, stderr, asItIs) })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			_, data, err := c.receive()
			if err != nil {
				cmd.Process.Kill()
				return
			}
			if len(data) == 0 {
				stdin.Close()
			} else if _, err := stdin.Write(data); err != nil {
				stdin.Close() // the program reads no more; the double may still write
			}
		}
	}()
	copies.Wait()
	cmd.Wait()
	err = c.send(streamExit, []byte{byte(max(cmd.ProcessState.ExitCode(), 0))})
	c.Close()
	<-gone
	return err
}

var drive = regexp.MustCompile(`[Zz]:([\\/])`)

// toUnix translates text that has a drive, or begins with a backslash as an absolute path does.
func toUnix(s string) string {
	if !drive.MatchString(s) && !strings.HasPrefix(s, `\`) {
		return s
	}
	return strings.ReplaceAll(drive.ReplaceAllString(s, "/"), `\`, "/")
}

func toWindows(out []byte) []byte {
	lines := bytes.Split(out, []byte("\n"))
	for i, line := range lines {
		if bytes.HasPrefix(line, []byte("/")) {
			lines[i] = append([]byte("Z:"), line...)
		}
	}
	return bytes.Join(lines, []byte("\n"))
}
