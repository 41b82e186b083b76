// Command findings examines what Binnacle says of flaws in the telemetry (docs/operations/findings.md).
//
//	go run ./test/findings -binnacle bin/binnacle
//	go run ./test/findings -binnacle bin/binnacle -healthy 1m -only headers,clock
//
// It runs the demo mesh, real Envoys and all, beside a server of its own. Eight flaws are injected one after the other, each alone: after each it asks /api/v1/findings twice a second, until the
// finding of the right kind names the right service, and how long that took is printed; then the flaw is taken back, and the finding must end. Before, and at the end, there are healthy minutes in which nothing
// may be found. It ends with status 0 if each of the eight was found within 10 s and nothing else was, with 1 otherwise.
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
		fmt.Fprintln(os.Stderr, "findings:", err)
		os.Exit(1)
	}
}

type options struct {
	binnacle string
	rate     float64
	warm     time.Duration
	healthy  time.Duration
	only     []string
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.binnacle, "binnacle", "bin/binnacle", "the server to examine")
	flag.Float64Var(&o.rate, "rate", demo.DefaultConfig().Rate, "requests a second that enter the mesh")
	flag.DurationVar(&o.warm, "warm", 90*time.Second, "how long the mesh runs before the first flaw; nothing may be found in it either")
	flag.DurationVar(&o.healthy, "healthy", 20*time.Minute, "how long all is well at the end")
	only := flag.String("only", "", "only these flaws, separated by commas")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: options begin with a dash, see -help", flag.Arg(0))
	}
	for _, t := range theTrials() {
		o.only = append(o.only, string(t.flaw))
	}
	if *only != "" {
		wanted := strings.Split(*only, ",")
		for _, name := range wanted {
			if !slices.Contains(o.only, name) {
				return fmt.Errorf("-only: %q is none of %s", name, strings.Join(o.only, ", "))
			}
		}
		o.only = wanted
	}
	return examine(ctx, o)
}
