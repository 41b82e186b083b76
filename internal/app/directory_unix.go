//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package app

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("it is locked")

// makePrivate has all files and directories that this process makes belong to its user alone.
func makePrivate() { syscall.Umask(0o077) }

// tryLock locks a file until it is closed or the process ends, however it does.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
