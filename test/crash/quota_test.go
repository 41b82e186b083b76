package crash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimit "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// saveInterval is how often the servers of these tests save quotas.
const saveInterval = 100 * time.Millisecond

// lateness is how much longer than the interval a saving may take to be on disk on a machine that is busy with tests.
const lateness = 400 * time.Millisecond

// perWindow is the limit of each key, of whatever window; see rules.
const perWindow = 300

// A question is a key in a window: what is limited.
type question struct {
	unit, key string
	ends      int64 // the window's end, Unix seconds
}

// An answer is that one hit was admitted.
type answer struct {
	question
	at time.Time
}

// A crowd asks, and remembers what was admitted.
type crowd struct {
	keys int // of each unit

	mu       sync.Mutex
	admitted []answer
	refused  map[question]bool
	unknown  map[string]int // by unit and key: asked and not answered
}

var lengths = map[string]int64{"minute": 60, "hour": 3600, "day": 86400} // of windows, in seconds

// TestQuotaKills kills a server that decides quotas of a minute, an hour and a day, BINNACLE_CRASHES times at most 50, at any moment and around
// its savings. No key is ever admitted more in a window than its limit and what it was admitted in one interval of saving before each kill; and
// after an orderly stop nothing on top.
func TestQuotaKills(t *testing.T) {
	t.Parallel()
	p, dir := program{failingBinary(t), "serve"}, t.TempDir()
	how := newKiller(t, "journal/")
	how.longest = 2500 // so long that a server that saves nothing is found out
	kills := min(crashes(t), 50)
	c := &crowd{keys: kills/4 + 1, refused: map[question]bool{}, unknown: map[string]int{}}
	var killed []time.Time
	for i := range kills {
		k := how.next()
		s := p.launch(t, dir, small, k.env()...)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if s.ready(t) {
			wg.Go(func() { c.ask(ctx, s.rls, uint64(i)) }) //nolint:gosec // not negative
		}
		how.kill(t, s, k)
		killed = append(killed, time.Now())
		stop()
		wg.Wait()
		if bytes.Contains(s.log.Bytes(), []byte("level=ERROR")) || bytes.Contains(s.log.Bytes(), []byte("panic")) {
			t.Fatalf("kill %d (%s): the server complained:\n%s", i, k, s.log.String())
		}
	}
	how.report(t)
	c.check(t, killed)

	// Now in order: what was used up stays so.
	s := p.start(t, dir, small)
	c.fill(t, s.rls)
	s.stop(t)
	s = p.start(t, dir, small)
	defer s.kill()
	if n := c.fill(t, s.rls); n != 0 {
		t.Errorf("%d hits were admitted after an orderly stop, of keys that had used up their limits", n)
	}
}

// ask asks from several goroutines until ctx ends or the server is gone.
func (c *crowd) ask(ctx context.Context, addr string, seed uint64) {
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return
	}
	defer func() { _ = cc.Close() }()
	client := ratelimit.NewRateLimitServiceClient(cc)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, g)) //nolint:gosec // a test's chance
		wg.Go(func() {
			units := []string{"minute", "hour", "day"}
			for ctx.Err() == nil {
				_, _ = c.one(ctx, client, units[rnd.IntN(3)], fmt.Sprint("key", rnd.IntN(c.keys)))
				time.Sleep(time.Duration(rnd.IntN(6)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// one asks for one hit.
func (c *crowd) one(ctx context.Context, client ratelimit.RateLimitServiceClient, unit, key string) (admitted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	before := time.Now()
	resp, err := client.ShouldRateLimit(ctx, &ratelimit.RateLimitRequest{
		Domain: "shop", Descriptors: []*common.RateLimitDescriptor{{Entries: []*common.RateLimitDescriptor_Entry{{Key: unit, Value: key}}}},
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.unknown[unit+key]++
		return false, err
	}
	// The window ends at the multiple of its length that lies so many seconds after some moment of the call.
	length := lengths[unit]
	latest := time.Now().Unix() + resp.GetStatuses()[0].GetDurationUntilReset().GetSeconds()
	q := question{unit, key, latest / length * length}
	if earliest := before.Unix() + resp.GetStatuses()[0].GetDurationUntilReset().GetSeconds(); q.ends < earliest {
		return false, fmt.Errorf("%s %s: no window ends between %d and %d", unit, key, earliest, latest)
	}
	if resp.GetOverallCode() == ratelimit.RateLimitResponse_OK {
		c.admitted = append(c.admitted, answer{q, time.Now()})
		return true, nil
	}
	c.refused[q] = true
	return false, nil
}

// check holds what was admitted to the limit and the bound.
func (c *crowd) check(t *testing.T, killed []time.Time) {
	t.Helper()
	total, bound := map[question]int{}, map[question]int{}
	for _, a := range c.admitted {
		total[a.question]++
		for _, k := range killed {
			if d := k.Sub(a.at); d >= 0 && d <= saveInterval+lateness {
				bound[a.question]++
				break
			}
		}
	}
	over, full := 0, 0
	for q, n := range total {
		if n > perWindow+bound[q] {
			t.Errorf("%+v was admitted %d times, the limit is %d, and %d were admitted within one interval before kills", q, n, perWindow, bound[q])
		}
		over += max(0, n-perWindow)
	}
	for q := range c.refused {
		full++
		if n := total[q] + c.unknown[q.unit+q.key]; n < perWindow {
			t.Errorf("%+v was refused after %d hits at most, the limit is %d", q, n, perWindow)
		}
	}
	t.Logf("%d kills: %d hits admitted in %d windows, %d windows used up, %d hits above limits", len(killed), len(c.admitted), len(total), full, over)
}

// fill uses up each key that has been used, in windows of an hour and a day, and says how many hits that took.
func (c *crowd) fill(t *testing.T, addr string) (admitted int) {
	t.Helper()
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	client := ratelimit.NewRateLimitServiceClient(cc)
	for _, unit := range []string{"hour", "day"} {
		if left := lengths[unit] - time.Now().Unix()%lengths[unit]; left < 60 {
			t.Logf("a window of a %s ends in %d s: not looked at", unit, left)
			continue
		}
		for k := range min(c.keys, 6) {
			for {
				ok, err := c.one(t.Context(), client, unit, fmt.Sprint("key", k))
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				admitted++
			}
		}
	}
	return admitted
}
