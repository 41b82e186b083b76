//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package app

import (
	"errors"
	"os"
)

var errLocked = errors.New("it is locked")

// makePrivate does nothing: what files may be read by is decided by the directory here.
func makePrivate() {}

// tryLock does nothing: the series store has a lock of its own.
func tryLock(*os.File) error { return nil }
