package disk

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// Failed says that an error is the machine's: a file could not be opened, read or changed (no right to, too many are open, no room, a disk
// that does not answer), so that nothing is known of what it holds. It may be sound, and is not to be taken for damaged. Where Failed is
// false the content is at fault, or is not there.
//
// Every error of the system counts, but for those that content alone can bring about: so that one that nobody thought of costs a
// start and no data.
func Failed(err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrClosed) {
		return true
	}
	var code syscall.Errno
	return errors.As(err, &code) && !slices.Contains([]syscall.Errno{
		syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, // what is there is not what was written
		syscall.EINVAL, syscall.EOVERFLOW, syscall.EFBIG, // an offset or a length that was read from a file makes no sense
	}, code)
}
