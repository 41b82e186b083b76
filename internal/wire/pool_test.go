package wire

import "testing"

func TestPool(t *testing.T) {
	t.Parallel()
	var p Pool
	for _, n := range []int{0, 1, 1 << 10, 1<<10 + 1, 16 << 10, 100_000, 1 << 24, 1<<24 + 1} {
		b := p.Get(n)
		if len(*b) != n {
			t.Errorf("asked for %d bytes, got %d", n, len(*b))
		}
		p.Put(b)
		if again := p.Get(n); len(*again) != n {
			t.Errorf("asked again for %d bytes, got %d", n, len(*again))
		}
	}
	odd := make([]byte, 3000) // not ours: its size fits no class
	p.Put(&odd)
	if b := p.Get(2500); cap(*b) != 4096 {
		t.Errorf("a buffer of %d bytes came back", cap(*b))
	}
}
