package app

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/binnacle-mesh/binnacle/quota"
)

// Why Go is told of more processors than there are, now and then.
//
// The problem: a quota question is some microseconds of work, and a proxied request waits for it. Beside spans flat out it waited 26 to 51 ms
// at the 99th percentile on two processors. Go runs as many goroutines at once as it is told of processors, and looks at the network only
// when one of them has nothing to run, or every 10 ms; decoding, followers, sealing and garbage collection keep all of them running, so that
// a question waits for its turn three times: to be read, to be answered, to be written.
//
// So while questions are asked beside much else, Go is told of two more. What computes for long is bounded apart (followers take turns, one
// block is sealed at a time), and finds the processors taken by threads that the kernel shares them among; whoever has slept and wakes up goes
// first there, within a millisecond or so. It costs a twentieth of what a span costs, and so is taken back when nobody asks.
//
// Not chosen: a gate before decoding, which bounds one kind of work and leaves processors idle while another waits; a port and process of
// its own for quotas, which cannot share the counters' memory; the two for good, which quotas alone and spans alone pay for in vain.

const (
	spare         = 2  // how many more processors Go is told of
	fewProcessors = 4  // where that helps: with more, one is idle soon enough
	muchElse      = 25 // batches a second

	spareLook = 250 * time.Millisecond
	spareHold = 10 * time.Second // after the last time that they were needed, lest Go be told again and again: the world stops for it
)

// work is what has been done since the start.
type work struct{ batches, questions uint64 }

// crowded says that quota questions were asked beside much else.
func crowded(before, now work, passed time.Duration) bool {
	return now.questions > before.questions && float64(now.batches-before.batches) >= muchElse*passed.Seconds()
}

// spareWhileCrowded tells Go of more processors while questions are asked beside much else, until ctx ends, unless the environment says how many
// there are (GOMAXPROCS). It is called once in a process, after all that asks how many there are.
func (a *App) spareWhileCrowded(ctx context.Context) {
	there := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" || there > fewProcessors {
		return
	}
	defer runtime.GOMAXPROCS(there)
	tick := time.NewTicker(spareLook)
	defer tick.Stop()
	before, looked, needed, told := a.worked(), time.Now(), time.Time{}, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, at := a.worked(), time.Now()
		if crowded(before, now, at.Sub(looked)) {
			needed = at
		}
		before, looked = now, at
		if want := at.Sub(needed) < spareHold; want != told {
			told = want
			if want {
				runtime.GOMAXPROCS(there + spare)
			} else {
				runtime.GOMAXPROCS(there)
			}
		}
	}
}

func (a *App) worked() work {
	w := work{batches: uint64(a.pipeline.wal.Last())}
	a.quota.EachRule(func(c quota.RuleCount) { w.questions += c.OK + c.Over + c.Shadow + c.Failed })
	return w
}
