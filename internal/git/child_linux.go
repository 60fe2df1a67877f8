package git

import (
	"os/exec"
	"syscall"
)

// endWithUs makes the kernel kill the child when we are killed and can't do it ourselves. A child that computes, or is stopped,
// would not notice that its pipes have closed.
//
// What counts for the kernel is the thread that started the child, not the process. The Go runtime ends a thread only together
// with a goroutine locked to it, and there is none.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
