package demo

import (
	"os"
	"syscall"
)

// dieWithParent puts a child into a process group of its own, so that Ctrl-C at the terminal reaches only us and we end
// the children in order; and has the kernel kill it when we are killed ourselves.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func terminate(p *os.Process) { _ = p.Signal(syscall.SIGTERM) }
