package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
)

// A killer chooses when a server dies: at a point of its code, at one passing or another, or at any moment.
type killer struct {
	rnd     *rand.Rand
	points  []string
	turn    int
	armed   int            // deaths at points so far
	longest int            // ms until a kill at any moment
	hit     map[string]int // kills by point; "" those at any moment
	missed  map[string]int // the server did not come by in time, and was killed at any moment
}

// newKiller makes one that chooses among the points with the prefixes. BINNACLE_SEED repeats the choices, though not the timing.
func newKiller(t *testing.T, prefixes ...string) *killer {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	if v := os.Getenv("BINNACLE_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("BINNACLE_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("seed %d (BINNACLE_SEED repeats the choices, though not the timing)", seed)
	k := &killer{longest: 900, rnd: rand.New(rand.NewPCG(seed, 0)), hit: map[string]int{}, missed: map[string]int{}} //nolint:gosec // a test's chance
	for _, p := range failpoint.Points() {
		for _, prefix := range prefixes {
			if strings.HasPrefix(p, prefix) {
				k.points = append(k.points, p)
			}
		}
	}
	k.rnd.Shuffle(len(k.points), func(i, j int) { k.points[i], k.points[j] = k.points[j], k.points[i] })
	return k
}

// A death is how one server is to end.
type death struct {
	point string // "" is at any moment
	times int
	after time.Duration // when it is killed if it has not killed itself
}

func (d death) String() string {
	if d.point == "" {
		return fmt.Sprintf("after %v", d.after)
	}
	return fmt.Sprintf("%s:%d", d.point, d.times)
}

// env arms the server.
func (d death) env() []string {
	if d.point == "" {
		return nil
	}
	return []string{"BINNACLE_FAILPOINT=" + d.String()}
}

// next is the next death: of four one at any moment, the others at each point in turn.
func (k *killer) next() death {
	k.turn++
	if k.turn%4 == 0 {
		return death{after: time.Duration(30+k.rnd.IntN(k.longest)) * time.Millisecond}
	}
	d := death{point: k.points[k.armed%len(k.points)], times: 1 + k.rnd.IntN(3), after: 1500 * time.Millisecond}
	k.armed++
	switch d.point {
	case failpoint.LogWritten, failpoint.LogSynced:
		d.times = 1 + k.rnd.IntN(80) // passed all the time
	case failpoint.JournalWritten, failpoint.JournalSynced:
		d.times = 1 + k.rnd.IntN(int(2*time.Second/saveInterval))
		d.after = 4 * time.Second
	case failpoint.JournalRename, failpoint.JournalRenamed:
		d.times = 1 // passed once after each start
	case failpoint.SeriesCutting, failpoint.SeriesCut, failpoint.SeriesCompacted:
		d.times = 1
		d.after = 8 * time.Second // so long that there is something to cut
	}
	return d
}

// kill waits for a server's death, and sees to it. A server that ends in any other way fails the test.
func (k *killer) kill(t *testing.T, s *server, d death) {
	t.Helper()
	select {
	case <-s.ended:
		if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); d.point == "" || !ok || status.Signal() != syscall.SIGKILL {
			t.Errorf("the server ended by itself (%v), it was to be killed %s; it said:\n%s", s.cmd.ProcessState, d, s.log.String())
		}
		k.hit[d.point]++
	case <-time.After(d.after):
		s.kill()
		if d.point != "" {
			k.missed[d.point]++
		} else {
			k.hit[""]++
		}
	}
}

// enough is how often a point is tried before no server may have come by.
const enough = 8

// report says how often a server died where, and fails where a point was tried often and no server ever died at it: such a point proves
// nothing. In 500 crashes each is tried often enough.
func (k *killer) report(t *testing.T) {
	t.Helper()
	t.Logf("%d kills at any moment", k.hit[""])
	for _, p := range slices.Sorted(slices.Values(k.points)) {
		t.Logf("%4d at %-20s %d times it was not come by in time, and the server was killed at any moment", k.hit[p], p, k.missed[p])
		if k.hit[p] == 0 && k.missed[p] >= enough {
			t.Errorf("no server came by %s in %d tries", p, k.missed[p])
		}
	}
}
