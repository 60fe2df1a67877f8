//go:build unix

package transport

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"aig/internal/gittest"
)

// TestMain makes this program one that its own tests run, if the environment
// asks for it.
func TestMain(m *testing.M) {
	if expression, ok := os.LookupEnv("TRANSPORT_TEST_EXPRESSION"); ok {
		if expression == "overlong" { // too long for execve
			expression = ": " + strings.Repeat("x", 4<<20)
		}
		if err := underTerminal(expression, os.Getenv("TRANSPORT_TEST_TAKE") != ""); err != nil {
			fmt.Printf("failed: %v, foreground=%v\n", err, foreground())
		}
		os.Exit(0)
	}
	if _, ok := os.LookupEnv("TRANSPORT_TEST_ECHO"); ok {
		if err := echo(); err != nil {
			fmt.Fprintln(os.Stderr, "failed:", err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, "closed")
		os.Exit(0)
	}
	// They may be ignored when the tests start, as under nohup(1). A signal that is caught here isn't ignored in a child.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT)
	os.Exit(gittest.Main(m))
}

// underTerminal runs the expression and prints what came of it. If take is set, it
// takes the terminal back at the transport's first line, then asks a question
// itself, as a passphrase prompt does, and closes the transport.
func underTerminal(expression string, take bool) error {
	tr, err := begin(Options{
		Expression: expression,
		Stderr:     func(line string) { fmt.Printf("transport: %q\n", line) },
		Grace:      patience,
	})
	if err != nil {
		return err
	}
	r := bufio.NewReader(tr)
	line, err := r.ReadString('\n')
	if take && err == nil {
		tr.TakeTerminal()
		fmt.Printf("own question after %q: ", line)
		answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Printf("own answer %q %v foreground=%v\n", answer, err, foreground())
		return tr.Close()
	}
	rest, _ := io.ReadAll(r)
	status, _ := tr.Ended()
	fmt.Printf("read %q, %s, interrupted=%v, foreground=%v, echo=%v\n",
		line+string(rest), status, tr.Interrupted(), foreground(), echoes())
	return tr.Close()
}

func foreground() bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func echoes() bool {
	stty := exec.Command("stty", "-a")
	stty.Stdin = os.Stdin
	modes, err := stty.Output()
	return err == nil && !strings.Contains(string(modes), "-echo ")
}

// echo makes a pipe of its standard streams, sends back what it reads until end
// of file, and closes the pipe.
func echo() error {
	p := Stdio(os.Stdin, os.Stdout)
	if _, err := io.Copy(p, p); err != nil {
		return err
	}
	return p.Close()
}
