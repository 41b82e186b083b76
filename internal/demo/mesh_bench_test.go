package demo

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkMesh tells what the demo costs the machine that it is shown on: an operation is a second of the mesh at its
// default rate. The services' share holds the load and the sink as well, which decodes all that it gets.
func BenchmarkMesh(b *testing.B) {
	s := newSink(b)
	cfg := DefaultConfig()
	cfg.Mesh, cfg.Envoy, cfg.BasePort, cfg.Story = s.address, envoyOrSkip(b), 0, false
	mesh, err := Start(b.Context(), cfg, discard())
	if err != nil {
		b.Fatal(err)
	}
	defer mesh.Close()
	time.Sleep(5 * time.Second) // the shop opens slowly

	spans, logs, _ := s.seen()
	envoys, _ := envoyUse(b, mesh.PIDs())
	own := ownUse(b)
	b.ResetTimer()
	for range b.N {
		time.Sleep(time.Second)
	}
	b.StopTimer()
	spansAfter, logsAfter, _ := s.seen()
	envoysAfter, memory := envoyUse(b, mesh.PIDs())
	n := float64(b.N)
	b.ReportMetric((envoysAfter-envoys).Seconds()/n, "envoy-cores")
	b.ReportMetric((ownUse(b)-own).Seconds()/n, "service-cores")
	b.ReportMetric(float64(len(spansAfter)-len(spans))/n, "spans/s")
	b.ReportMetric(float64(len(logsAfter)-len(logs))/n, "entries/s")
	b.ReportMetric(float64(memory)/(1<<20), "envoy-MB")
}

// envoyUse sums the CPU time of processes and their proportional share of memory in bytes.
func envoyUse(b *testing.B, pids []int) (cpu time.Duration, memory int) {
	b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			b.Skipf("processes cannot be measured here: %v", err)
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		for _, field := range fields[11:13] { // utime and stime, see proc(5)
			n, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			cpu += time.Duration(n) * tick
		}
		rollup, err := os.ReadFile(dir + "/smaps_rollup")
		if err != nil {
			b.Skipf("memory cannot be measured here: %v", err)
		}
		for line := range strings.Lines(string(rollup)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.Atoi(strings.Fields(value)[0])
				if err != nil {
					b.Fatal(err)
				}
				memory += kb << 10
			}
		}
	}
	return cpu, memory
}

func ownUse(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
