// Command truth sends the same spans to Binnacle and to an OpenTelemetry Collector with the service graph connector, and prints how wrong
// each one's graph is: edges that are missing or made up, and totals that are off. The mesh is made up, so that what is true is known.
//
//	go run ./test/truth -binnacle bin/binnacle -collector bin/collector
//
// A million spans come as they do from a mesh of many senders: the two of a request from two services, half of them up to five seconds
// apart, one request in fifty with one of its spans a minute late, and of one in a hundred one span is lost. Callers name whom they call as
// SDKs do, by server.address.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	binnacle := flag.String("binnacle", "bin/binnacle", "our server")
	collector := flag.String("collector", "bin/collector", "an OpenTelemetry Collector with the service graph connector: test/truth/collector")
	m := mesh{}
	flag.IntVar(&m.spans, "spans", 1_000_000, "spans to send")
	flag.IntVar(&m.services, "services", 200, "services")
	flag.IntVar(&m.edges, "edges", 2_000, "pairs of services that call; some often, most seldom")
	flag.DurationVar(&m.length, "t", 50*time.Second, "time within which requests begin")
	flag.DurationVar(&m.split, "split", 5*time.Second, "how far apart the two spans of half of the requests are at most")
	flag.DurationVar(&m.late, "late", time.Minute, "how late one span of one request in fifty is")
	flag.Uint64Var(&m.seed, "seed", 1, "of chance")
	flag.Parse()

	m.draw()
	dir, err := os.MkdirTemp("", "binnacle-truth")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ours, err := startBinnacle(ctx, *binnacle, dir)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := startCollector(ctx, *collector, dir)
	if err != nil {
		return err
	}
	defer theirs.stop()

	fmt.Printf("%d spans of %d requests on %d edges between %d services: half of the pairs up to %v apart, one request in fifty %v late, one in a hundred of one span\n",
		len(m.due), m.requests, len(m.truth.edges), m.services, m.split, m.late)
	if err := m.send(ctx, ours.otlp, theirs.otlp); err != nil {
		return err
	}
	// What waits is final after 10 s with us, and after 10 s and 2 s more with the patient connector, which tells once a second.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(25 * time.Second):
	}
	live, charts, err := ours.graphs(ctx)
	if err != nil {
		return err
	}
	for _, of := range [...]string{"default", "patient"} {
		if len(theirs.graph(of).edges) == 0 {
			return fmt.Errorf("the %s connector has told nothing: what its Collector says is above", of)
		}
	}
	fmt.Printf("%-58s %s\n", "", header)
	for _, g := range []struct {
		name  string
		graph graph
	}{
		{"Binnacle, the map", live},
		{"Binnacle, PromQL (traces_service_graph_request_total)", charts},
		{"servicegraph connector, its defaults (2 s, 1,000 items)", theirs.graph("default")},
		{"servicegraph connector, 10 s, a million items, named peers", theirs.graph("patient")},
	} {
		fmt.Printf("%-58s %s\n", g.name, m.truth.against(g.graph))
	}
	if s := m.truth.against(live); s.missing+s.extra > 0 || s.off > 0 || s.failedOff > 0 {
		return fmt.Errorf("our map is not what was made: %s", s)
	}
	if s := m.truth.against(charts); s.missing+s.extra > 0 || s.off > 0 || s.failedOff > 0 {
		return fmt.Errorf("what PromQL answers is not what was made: %s", s)
	}
	return nil
}
