// Command exam examines whom Binnacle blames (docs/operations/health.md).
//
//	go run ./test/exam -binnacle bin/binnacle
//	go run ./test/exam -binnacle bin/binnacle -runs 1 -max 30s -between 30s -healthy 2m -only slow,errors
//	go run ./test/exam -incidents ../shared/data
//
// The first form runs the demo mesh, real Envoys and all, beside a server of its own. Each chapter of the demo's story is told several
// times, in random order and for a random while, with healthy minutes between. Twice a second it asks the API for the graph, as any user may,
// and compares whom that blames with whom the story struck. It ends with status 0 if at least 95 of a hundred trials held and nobody was named
// in healthy minutes, with 1 otherwise. The long form takes some two hours.
//
// With -incidents it judges what others recorded of their systems (archives that are not in this repository), by the graph's own code in the
// recordings' time, and compares with two plain baselines and with chance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// errFailed says that the exam went to its end and was not passed.
var errFailed = errors.New("not passed")

func main() {
	runtime.LockOSThread() // the kernel ends the server with the thread that started it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "exam:", err)
		os.Exit(1)
	}
}

// options are what the exam of the story is told.
type options struct {
	binnacle string
	rate     float64
	runs     int
	shortest time.Duration
	longest  time.Duration
	between  time.Duration // the least that is healthy before a trial; up to half as much again
	healthy  time.Duration // at the end
	warm     time.Duration // before anything is judged
	only     []string
	seed     uint64
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.binnacle, "binnacle", "bin/binnacle", "the server to examine")
	flag.Float64Var(&o.rate, "rate", demo.DefaultConfig().Rate, "requests a second that enter the mesh")
	flag.IntVar(&o.runs, "runs", 5, "how often each chapter is told")
	flag.DurationVar(&o.shortest, "min", 20*time.Second, "how long a chapter is at least")
	flag.DurationVar(&o.longest, "max", 6*time.Minute, "and at most; short ones are as likely as long ones")
	flag.DurationVar(&o.between, "between", time.Minute, "how long all is well before a chapter, at least; up to half as much again")
	flag.DurationVar(&o.healthy, "healthy", 20*time.Minute, "how long all is well at the end")
	flag.DurationVar(&o.warm, "warm", time.Minute, "how long the mesh runs before anything is judged")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "which order and lengths") //nolint:gosec // any number will do
	only := flag.String("only", "", "only these chapters, separated by commas: "+strings.Join(trialChapters(), ", "))
	incidents := flag.String("incidents", "", "judge the recorded incidents in this `DIRECTORY` instead")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: options begin with a dash, see -help", flag.Arg(0))
	}
	if *incidents != "" {
		return judgeIncidents(ctx, *incidents, os.Stdout)
	}
	if o.only = trialChapters(); *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, c := range o.only {
		if !slices.Contains(trialChapters(), c) {
			return fmt.Errorf("-only: %q is none of %s", c, strings.Join(trialChapters(), ", "))
		}
	}
	if o.runs < 1 || o.shortest < time.Second || o.longest < o.shortest {
		return errors.New("nothing to examine: -runs must be at least 1, -min at least 1s, -max at least -min")
	}
	return examine(ctx, o)
}

// trialChapters are the chapters of the story in which something happens.
func trialChapters() []string {
	return slices.DeleteFunc(demo.Chapters(), func(c string) bool { return c == demo.ChapterCalm })
}
