package ledger

import (
	"testing"
	"testing/fstest"
)

func TestWhatTheProcessMayHave(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:        4194304 kB\nMemFree:  1 kB\n" // 4 GiB
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
		from  string
	}{
		{"nothing is known", nil, unknown, "no figure of the machine's"},
		{"a machine", map[string]string{"proc/meminfo": meminfo}, 4 << 30, "the machine's memory"},
		{"version 2, the group's own", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/binnacle.service\n",
			"sys/fs/cgroup/system.slice/binnacle.service/memory.max": "1073741824\n",
		}, 1 << 30, "the control group's memory"},
		{"version 2, one above is less", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "536870912\n",
		}, 512 << 20, "the control group's memory"},
		{"version 2 in a container, which sees its own group as the root", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20, "the control group's memory"},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/\n4:memory:/kubepods/pod1\n0::/\n",
			"sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes": "2147483648\n",
		}, 2 << 30, "the control group's memory"},
		{"version 1 in a container, whose path is the host's", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/docker/0123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20, "the control group's memory"},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 4 << 30, "the machine's memory"},
		{"a limit beyond the machine", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "8589934592\n",
		}, 4 << 30, "the machine's memory"},
		{"files that hold nonsense", map[string]string{
			"proc/meminfo": "MemTotal: lots\n", "proc/self/cgroup": "x\n0::/\n", "sys/fs/cgroup/memory.max": "-5",
		}, unknown, "no figure of the machine's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if n, from := available(root); n != c.want || from != c.from {
				t.Errorf("%d of %s, want %d of %s", n, from, c.want, c.from)
			}
		})
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal: 10485760 kB\n")}} // 10 GiB
	b := (&Config{}).Of(root)
	if b.Process != 6<<30 || b.From != "the machine's memory" {
		t.Errorf("by default %+v, want 60 %% of 10 GiB", b)
	}
	b = (&Config{LimitBytes: 1 << 30}).Of(root)
	if b.Process != 1<<30 || b.From != "memory.limit_bytes" {
		t.Errorf("as set %+v", b)
	}
	for _, limit := range []int64{leastLimit, 1 << 30, 64 << 30} {
		b := (&Config{LimitBytes: limit}).Of(root)
		if b.Clients <= 0 || b.Clients >= b.Runtime || b.Runtime >= b.Process {
			t.Errorf("of %d: %+v, want clients < runtime < process", limit, b)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for limit, ok := range map[int64]bool{0: true, leastLimit: true, 1 << 40: true, -1: false, leastLimit - 1: false, 1<<46 + 1: false} {
		if err := (&Config{LimitBytes: limit}).Validate(); (err == nil) != ok {
			t.Errorf("%d: %v", limit, err)
		}
	}
}
