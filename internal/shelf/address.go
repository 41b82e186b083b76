package shelf

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// FreeAddr is an address of loopback that is the test's alone until the test and its cleanups end: the test's server listens there, ends and
// listens again, and never does another test's server come between and take for it what was meant for the first. That holds for tests of
// all processes of the machine.
//
// A port is given together with the one above it, on which the test's process listens for as long: who finds that one taken leaves both. The
// kernel closes it with the process, however that ends, so nothing is ever left behind, as a file that is locked would be. Ports that the kernel
// gives to outgoing connections and to who asks for any port are not used: nobody who takes those can be asked to leave ours.
func FreeAddr(t testing.TB) string {
	t.Helper()
	from, to := testPorts()
	pairs := (to - from) / 2
	first := rand.IntN(pairs) //nolint:gosec // where to begin to look
	for i := range pairs {
		port := from + 2*((first+i)%pairs)
		hold, err := net.Listen("tcp", loopback(port+1)) //nolint:noctx // does not wait for anything
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", loopback(port)) //nolint:noctx // does not wait for anything
		if err != nil {
			_ = hold.Close()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() { _ = hold.Close() }) // after what the test cleans up from now on, its server among that
		return loopback(port)
	}
	t.Fatalf("no address is free: all ports from %d to %d are taken; end what holds them", from, to-1)
	return ""
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// testPorts are the ports for tests, from one and below another: above those of the demo's Envoys, and below or above those of
// ip_local_port_range. Where that leaves few, the kernel may give ours to others while nobody listens.
func testPorts() (from, to int) {
	const lowest, highest, few = 20000, 32768, 4000
	var low, high int
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return lowest, highest // not Linux; kernels elsewhere give from 32768 or 49152
	}
	if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
		return lowest, highest
	}
	switch {
	case low-lowest >= few:
		return lowest, min(low, highest)
	case 65536-(high+1) >= few:
		return high + 1, 65536
	}
	return lowest, highest
}
