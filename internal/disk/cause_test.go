package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What the machine did is told from what a file holds, however the error is wrapped.
func TestFailed(t *testing.T) {
	t.Parallel()
	_, absent := os.ReadFile(filepath.Join(t.TempDir(), "absent"))
	_, folder := os.ReadFile(t.TempDir())
	for _, c := range []struct {
		err  error
		want bool
	}{
		{syscall.EMFILE, true},
		{syscall.EIO, true},
		{syscall.ENOMEM, true},
		{syscall.EACCES, true},
		{fs.ErrPermission, true},
		{fmt.Errorf("footer: %w", &fs.PathError{Op: "read", Path: "f", Err: syscall.ENOTCONN}), true},
		{errors.Join(errors.New("close"), &fs.PathError{Op: "open", Path: "f", Err: syscall.ENFILE}), true},
		{absent, false},
		{folder, false},
		{io.ErrUnexpectedEOF, false},
		{errors.New("a checksum does not match"), false},
		{&fs.PathError{Op: "mmap", Path: "f", Err: syscall.EINVAL}, false},
		{nil, false},
	} {
		if Failed(c.err) != c.want {
			t.Errorf("%v: failed is %v", c.err, !c.want)
		}
	}
}
