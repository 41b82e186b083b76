//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// armed is the point of BINNACLE_FAILPOINT, and after how many passings.
var armed = sync.OnceValues(func() (string, int64) { //nolint:gochecknoglobals // the environment's, read once
	point, times, _ := strings.Cut(os.Getenv("BINNACLE_FAILPOINT"), ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil {
		n = 1
	}
	return point, n
})

var passed atomic.Int64 //nolint:gochecknoglobals // passings of the armed point in this process

// Here is passed at a point. It kills the process, as a power cut of it does, if that is what the environment asks for.
func Here(point string) {
	if at, times := armed(); at != point || passed.Add(1) != times {
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // the signal comes at once, and nothing may follow
}
