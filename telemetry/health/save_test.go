package health_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// A watch that was written and read goes on as the one that was not.
func TestWatchGoesOn(t *testing.T) {
	t.Parallel()
	lives := func(seed uint64) *patient {
		return &patient{cfg: health.DefaultConfig(), rnd: rand.New(rand.NewPCG(seed, 9)), rate: 3 + float64(seed), now: 1_795_222_800e9}
	}
	for seed := range uint64(20) {
		straight, other := lives(seed), lives(seed)
		for s := range 900 {
			fails := 0.0
			if s > 300 && s < 600 {
				fails = 0.12
			}
			straight.second(fails, 0)
			other.second(fails, 0)
			written := straight.Append(nil)
			if diff := cmp.Diff(written, other.Append(nil)); diff != "" {
				t.Fatalf("seed %d, second %d:\n%s", seed, s, diff)
			}
			other.Watch = health.Watch{}
			if rest, err := other.Read(append(written, 7)); err != nil || !bytes.Equal(rest, []byte{7}) {
				t.Fatalf("seed %d, second %d: %v, %v is left", seed, s, err, rest)
			}
		}
	}
}

// A watch of the time before trials is read, and what was ill stays so until it is known to be well.
func TestOldWatchIsRead(t *testing.T) {
	t.Parallel()
	const at = 1_795_222_800e9
	var old []byte
	for _, v := range []int64{at, at - 60e9, 0, 0, at, at - 70e9, at - 400e9} {
		old = binary.AppendVarint(old, v)
	}
	old = append(old, byte(telemetry.AilmentFailing)<<2|1)
	for _, f := range []float64{10, 20, 15, 0.4, 0} {
		old = binary.LittleEndian.AppendUint64(old, math.Float64bits(f))
	}
	p := &patient{cfg: health.DefaultConfig(), rnd: rand.New(rand.NewPCG(1, 1)), rate: 10, now: at}
	if rest, err := p.Read(old); err != nil || len(rest) > 0 {
		t.Fatal(err, rest)
	}
	for s := range 30 {
		if p.second(0.4, 0); p.Kind != telemetry.AilmentFailing || p.Since != at-60e9 {
			t.Fatalf("%s since %d after %d s", p.Kind, p.Since, s)
		}
	}
	for range 15 {
		p.second(0, 0)
	}
	if p.Kind != telemetry.AilmentNone {
		t.Errorf("%s 15 s after it was over", p.Kind)
	}
	for n := range old {
		if _, err := new(health.Watch).Read(old[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(old))
		}
	}
}
