package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Config is what an operator may set of memory: the section memory.
type Config struct {
	// LimitBytes bounds the memory of the process (its resident set). Go's memory limit and all that clients can make the server hold
	// are set from it. 0 is 60 % of what the process may have: of its control group, or of the machine where it has none.
	LimitBytes int64 `yaml:"limit_bytes"`
}

// leastLimit is what the tables and buffers of a server need that has next to nothing to do.
const leastLimit = 128 << 20

// Validate reports a field that cannot work, by its path.
func (c *Config) Validate() error {
	if c.LimitBytes != 0 && (c.LimitBytes < leastLimit || c.LimitBytes > 1<<46) {
		return fmt.Errorf("limit_bytes: %d is not between %d and %d; 0 is 60 %% of the machine's or control group's", c.LimitBytes, int64(leastLimit), int64(1<<46))
	}
	return nil
}

// A Bound is how the memory of a process is divided, all in bytes.
type Bound struct {
	Process int64  // bound on the resident set
	Runtime int64  // Go's memory limit (GOMEMLIMIT): below it by what the runtime does not count, mapped files above all
	Clients int64  // a ledger's limit: what tables, buffers and garbage leave
	From    string // what Process is derived from, for the log
}

// Of divides what the configuration allows, or a part of what the process has. root is the root of the file system, of which it
// reads /proc and /sys.
func (c *Config) Of(root fs.FS) Bound {
	b := Bound{Process: c.LimitBytes, From: "memory.limit_bytes"}
	if b.Process == 0 {
		var all int64
		all, b.From = available(root)
		b.Process = max(all/10*6, leastLimit)
	}
	b.Runtime = b.Process - max(b.Process/8, 32<<20)
	b.Clients = b.Process / 10 * 4
	return b
}

// unknown is what is taken for the machine's memory where it cannot be found out.
const unknown = 2 << 30

// available is how many bytes the process may have, and who says so.
func available(root fs.FS) (n int64, from string) {
	n, from = unknown, "no figure of the machine's"
	if m, ok := machine(root); ok {
		n, from = m, "the machine's memory"
	}
	if m, ok := group(root); ok && m < n {
		n, from = m, "the control group's memory"
	}
	return n, from
}

// machine is MemTotal of /proc/meminfo.
func machine(root fs.FS) (int64, bool) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err == nil && kib > 0
		}
	}
	return 0, false
}

// group is the least memory limit of the process's control group and those above it, of either version.
//
// /proc/self/cgroup has lines as 0::/a/b (version 2) and 4:memory:/a/b (version 1). Within a container the path may be one that
// is only known outside; then the group is at the root of what is mounted, which is looked at in any case.
func group(root fs.FS) (least int64, ok bool) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	least = math.MaxInt64
	look := func(mount, at, file string) {
		for at = path.Clean("/" + at); ; at = path.Dir(at) {
			if n, err := number(root, path.Join(mount, at, file)); err == nil {
				least = min(least, n)
			}
			if at == "/" {
				return
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[0] == "0" && f[1] == "":
			look("sys/fs/cgroup", f[2], "memory.max")
		case contains(f[1], "memory"):
			look("sys/fs/cgroup/memory", f[2], "memory.limit_in_bytes")
		}
	}
	return least, least < math.MaxInt64
}

func contains(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

var errUnlimited = errors.New("unlimited")

// number reads a limit; "max", and version 1's number beyond all memory, are none.
func number(root fs.FS, name string) (int64, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 || n >= 1<<60 {
		return 0, errUnlimited
	}
	return n, nil
}
