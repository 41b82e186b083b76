package collector

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// However many senders take all they can, the next finds as much as each of them has.
func TestThereIsRoomForTheNextSender(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for flooders := 1; flooders <= 100; flooders++ {
		a := ledger.New(limit, nil).Account("messages", 0)
		senders := make([]Sender, flooders)
		for progress := true; progress; {
			progress = false
			for i := range senders {
				progress = senders[i].Hold(a, 1<<10) || progress
			}
		}
		var next Sender
		share := int64(limit/(flooders+1)) &^ (1<<10 - 1)
		if !next.Hold(a, share) {
			t.Fatalf("with %d that flood another may not have %d of %d bytes", flooders, share, limit)
		}
		for i := range senders {
			if held := senders[i].Held(); held > share+(2<<10) {
				t.Fatalf("of %d that flood one holds %d, its share is %d", flooders, held, share)
			}
		}
	}
}

func TestReleaseGivesBackBoth(t *testing.T) {
	t.Parallel()
	a := ledger.New(100, nil).Account("messages", 0)
	var s Sender
	if !s.Hold(a, 50) || s.Hold(a, 1) {
		t.Fatal("a sender alone may not have half, or may have more")
	}
	s.Release(a, 50)
	if s.Held() != 0 || a.Used() != 0 || a.Refused() != 1 {
		t.Errorf("%d and %d are held, %d refused", s.Held(), a.Used(), a.Refused())
	}
	var unknown *Sender
	if !unknown.Hold(a, 100) {
		t.Error("one who is not known may not have what there is")
	}
	unknown.Release(a, 100)
}

// One Envoy's entries wait for a log that stands still; another's still find room, and what each has waiting is its own.
func TestLanesRememberWhoseBytesTheyHold(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxInflightBytes, cfg.MaxMessageBytes = 1<<16, 1<<10
	log := &heldLog{pool: NewPool(), hold: make(chan struct{})}
	c, err := New(cfg, nil, log, log.pool, prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	in := c.Intake("als")
	lane := in.lane()
	var greedy, small Sender
	send := func(s *Sender) error {
		if err := in.Admit(s, 1<<10); err != nil {
			return err
		}
		return lane.Add(s, 1<<10, func(*Fill) error { return nil })
	}
	for send(&greedy) == nil {
	}
	if greedy.Held() != 1<<15 {
		t.Errorf("one that takes all it can has %d bytes of %d", greedy.Held(), 1<<16)
	}
	for n := range 16 {
		if err := send(&small); err != nil {
			t.Fatalf("message %d of a small sender: %v", n, err)
		}
	}
	close(log.hold)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if greedy.Held() != 0 || small.Held() != 0 || in.Inflight() != 0 {
		t.Errorf("when all is written %d, %d and %d bytes are held", greedy.Held(), small.Held(), in.Inflight())
	}
}

// A connection may have half of what streams there may be; another connection finds room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	in, _ := newTest(t, &answer{})
	var greedy, small Sender
	n := 0
	for in.OpenStream(&greedy) == nil {
		n++
	}
	if n == 0 || in.OpenStream(&small) != nil {
		t.Fatalf("%d streams of one connection leave no room for one of another", n)
	}
	for range n {
		in.CloseStream(&greedy)
	}
	in.CloseStream(&small)
	if used := in.c.streams.Used(); used != 0 {
		t.Errorf("%d bytes are held for streams that are closed", used)
	}
}
