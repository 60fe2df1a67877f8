package transport

import (
	"fmt"
	"os"
	"time"
)

// process is the shell. Windows has no process groups to signal and no foreground to lend; the rest of the package's doc holds.
type process struct {
	proc *os.Process

	exited      chan struct{} // closed when the shell has ended; then the rest is set
	status      string
	interrupted bool
}

func startProcess(sh string, o Options, files [3]*os.File) (*process, error) {
	proc, err := os.StartProcess(sh, []string{"sh", "-c", o.Expression}, &os.ProcAttr{
		Env:   o.Env,
		Files: files[:],
	})
	if err != nil {
		return nil, err
	}
	p := &process{proc: proc, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		state, err := proc.Wait()
		if err != nil {
			p.status = "unknown exit status"
			return
		}
		p.status = state.String()
	}()
	return p, nil
}

// end gives the shell time to end by itself, then kills it.
func (p *process) end(grace time.Duration) error {
	if p.ended(grace) {
		return nil
	}
	p.proc.Kill()
	if !p.ended(grace) {
		return fmt.Errorf("transport: process %d does not end, even if killed", p.proc.Pid)
	}
	return nil
}

func (p *process) takeTerminal() {}
