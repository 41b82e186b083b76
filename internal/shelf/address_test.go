package shelf

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFreeAddr takes addresses that nobody listens on, here and in another process: none is had twice.
func TestFreeAddr(t *testing.T) {
	if os.Getenv("SHELF_ADDRESSES") != "" { // the other process
		for range 200 {
			t.Log("had " + FreeAddr(t))
		}
		return
	}
	t.Parallel()
	had := map[string]bool{}
	take := func(addr string) {
		if had[addr] {
			t.Errorf("%s was given twice", addr)
		}
		had[addr] = true
	}
	for range 200 {
		take(FreeAddr(t))
	}
	for range 8 {
		other := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestFreeAddr$")
		other.Env = append(os.Environ(), "SHELF_ADDRESSES=1")
		said, err := other.Output()
		if err != nil {
			t.Fatalf("the other process: %v\n%s", err, said)
		}
		theirs := map[string]bool{} // and free again when it has ended
		for line := range strings.Lines(string(said)) {
			if _, addr, ok := strings.Cut(strings.TrimSpace(line), "had "); ok {
				if had[addr] || theirs[addr] {
					t.Errorf("%s was given twice", addr)
				}
				theirs[addr] = true
			}
		}
		if len(theirs) != 200 {
			t.Errorf("the other process had %d addresses, want 200", len(theirs))
		}
	}
}

// TestFreeAddrAgain gives addresses back with the test. Other tests may have taken some of them since, but not all.
func TestFreeAddrAgain(t *testing.T) {
	t.Parallel()
	var had []string
	t.Run("one", func(t *testing.T) {
		for range 20 {
			had = append(had, FreeAddr(t))
			if l, err := net.Listen("tcp", above(t, had[len(had)-1])); err == nil {
				_ = l.Close()
				t.Errorf("nothing holds %s", had[len(had)-1])
			}
		}
	})
	for _, addr := range had {
		if l, err := net.Listen("tcp", above(t, addr)); err == nil {
			_ = l.Close()
			return
		}
	}
	t.Errorf("all of %v are held after the test", had)
}

// above is the address that holds another.
func above(t *testing.T, addr string) string {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return loopback(a.Port + 1)
}
