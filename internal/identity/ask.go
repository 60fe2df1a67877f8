package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"aig/internal/ref"
)

// ErrNoTerminal is AskLine's error if there is no terminal to ask on.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// AskLine asks for a line on the terminal, with echo. The end of ctx or a signal ends the question with an error.
func AskLine(ctx context.Context, prompt string) (string, error) {
	line, err := askTerminal(ctx, prompt, true)
	return string(line), err
}

// AskPassphrase asks on the terminal, without echo, or through the program that SSH_ASKPASS names. As in ssh(1),
// SSH_ASKPASS_REQUIRE chooses: never, force, or prefer (the program if there is a display). By default the program is used
// only without a terminal.
//
// The end of ctx or a signal, as from Ctrl-C, ends the question with an error. The terminal's modes are restored in any case.
func AskPassphrase(ctx context.Context, prompt string) ([]byte, error) {
	program := os.Getenv("SSH_ASKPASS")
	display := os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	require := strings.ToLower(os.Getenv("SSH_ASKPASS_REQUIRE"))
	if program == "" && require == "force" {
		return nil, errors.New("SSH_ASKPASS_REQUIRE=force, but SSH_ASKPASS names no program")
	}
	if program != "" && (require == "force" || require == "prefer" && display) {
		return askProgram(ctx, program, prompt)
	}
	answer, err := askTerminal(ctx, prompt, false)
	if !errors.Is(err, ErrNoTerminal) {
		return answer, err
	}
	if program != "" && require != "never" {
		return askProgram(ctx, program, prompt)
	}
	return nil, errors.New("there is no terminal to ask on: ssh-add the key to an agent, or have SSH_ASKPASS name a program that asks")
}

// askProgram runs an askpass program: its argument is the prompt, and its first line the answer.
func askProgram(ctx context.Context, program, prompt string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, prompt)
	cmd.WaitDelay = 2 * time.Second // if another process holds its output open
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, fmt.Errorf("SSH_ASKPASS: %s gave no passphrase: %w", ref.Show(program), err)
	}
	line, _, _ := bytes.Cut(output, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
