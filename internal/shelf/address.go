package shelf

import (
	"net"
	"sync"
	"testing"
)

// given are the addresses that some test of the process has, or had: none is given twice while there are others, though nobody holds it until its
// server listens.
var given sync.Map //nolint:gochecknoglobals // tests run at once, and share the machine's ports

// FreeAddr is an address of loopback that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		_ = l.Close()
		if _, taken := given.LoadOrStore(addr, true); !taken || try >= 1000 { // a test that starts a thousand servers has had all the ports there are
			return addr
		}
	}
}
