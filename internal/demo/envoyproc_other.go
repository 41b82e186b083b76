//go:build !linux

package demo

import (
	"os"
	"syscall"
)

// dieWithParent cannot hold what its name says outside Linux: there, a demo that is killed hard leaves its Envoys behind.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func terminate(p *os.Process) { _ = p.Signal(os.Interrupt) }
