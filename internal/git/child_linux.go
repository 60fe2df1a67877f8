package git

import (
	"os/exec"
	"syscall"
)

// endWithUs makes the kernel end the child when we end without having done so: killed, we can't. A child that computes
// or is stopped would not notice that its pipes have closed.
//
// The kernel goes by the thread that started the child, not by the process. The runtime ends a thread only with a
// goroutine that is locked to it, and there is none.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
