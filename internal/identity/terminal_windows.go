package identity

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"

	"golang.org/x/term"
)

// askTerminal asks on the console and reads a line, with echo or without. The end of ctx can't cut it short: nothing wakes a
// console's reader.
func askTerminal(ctx context.Context, prompt string, echo bool) ([]byte, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	defer in.Close()
	out, err := os.OpenFile("CONOUT$", os.O_WRONLY, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	defer out.Close()
	fmt.Fprint(out, prompt)
	var answer []byte
	if echo {
		answer, err = bufio.NewReader(in).ReadBytes('\n')
		answer = bytes.TrimRight(answer, "\r\n")
	} else {
		answer, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(out)
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return answer, err
}
