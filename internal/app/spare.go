package app

import (
	"os"
	"runtime"
)

// Why Go is told of more processors than there are.
//
// The problem: a quota question is some microseconds of work, and a proxied request waits for it. Beside spans flat out it waited 26 to 51 ms
// at the 99th percentile on two processors. Go runs as many goroutines at once as it is told of processors, and looks at the network only
// when one of them has nothing to run, or every 10 ms; decoding, followers, sealing and garbage collection keep all of them running, so that
// a question waits for its turn three times: to be read, to be answered, to be written.
//
// So Go is told of two more. What computes for long is bounded apart (followers take turns, one block is sealed at a time), and finds the
// processors taken by threads that the kernel shares them among; whoever has slept and wakes up goes first there, within a millisecond or so.
//
// Not chosen: a gate before decoding, which bounds one kind of work and leaves processors idle while another waits; a port and process of
// its own for quotas, which cannot share the counters' memory.

// spare is how many more processors Go is told of.
const spare = 2

// fewProcessors is where that helps: with more, one is idle soon enough.
const fewProcessors = 4

// addSpare tells Go of more processors than there are, unless the environment says how many (GOMAXPROCS). It is called once in a process,
// after everything that asks how many there are.
func addSpare() {
	if n := runtime.GOMAXPROCS(0); os.Getenv("GOMAXPROCS") == "" && n <= fewProcessors {
		runtime.GOMAXPROCS(n + spare)
	}
}
