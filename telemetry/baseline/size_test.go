package baseline

import (
	"testing"
	"unsafe"
)

// A Baseline takes no more memory than Bytes says, by the sizes in which memory is given out.
func TestSize(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Baseline{}); n > 240 {
		t.Errorf("a Baseline has %d bytes", n)
	}
	if n := unsafe.Sizeof(hours{}); n > 288 {
		t.Errorf("its hours have %d", n)
	}
	if Bytes != 240+288 {
		t.Errorf("and in all %d", Bytes)
	}
}
