package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// TestNames floods each table that is keyed by what senders say.
func TestNames(t *testing.T) { runAll(t, nameAttacks()) }

func nameAttacks() []attack {
	return []attack{
		{name: "operation names of one service", do: spansOf(sized(300_000, 3_000_000), 1000, func(i int) forged {
			return forged{service: "loud", trace: newTrace(), id: 1, kind: server, name: fmt.Sprintf("GET /item/%d", i)}
		})},
		{name: "service names", do: spansOf(sized(40_000, 200_000), 500, func(i int) forged {
			return forged{service: fmt.Sprintf("junk-%d", i), trace: newTrace(), id: 1, kind: server, name: "GET /"}
		})},
		{name: "attribute keys", do: spansOf(sized(20_000, 100_000), 500, func(i int) forged {
			s := forged{service: "loud", trace: newTrace(), id: 1, kind: server, name: "GET /"}
			for k := range 10 { // 200,000 keys, full 1,000,000
				s.attrs = append(s.attrs, attr{fmt.Sprintf("key.%d.%d", i, k), "v"})
			}
			return s
		})},
		{name: "orphans", do: spansOf(sized(200_000, 1_500_000), 1000, func(int) forged {
			return forged{service: "loud", trace: newTrace(), id: 2, parent: 1, kind: server, name: "GET /"}
		})},
		{name: "names of 10 kB", do: spansOf(sized(6_000, 60_000), 100, func(i int) forged {
			long := fmt.Sprintf("%d-%s", i, strings.Repeat("n", 10_000))
			return forged{service: "junk-" + long, trace: newTrace(), id: 1, kind: client, name: "GET /" + long, attrs: []attr{{"k" + long, long}, {"peer.service", "to-" + long}, {"db.system.name", "db-" + long}}}
		})},
		{name: "pairs that call one another", do: spansOf(sized(60_000, 400_000), 500, func(i int) forged {
			return forged{service: fmt.Sprintf("from-%d", i), trace: newTrace(), id: 1, kind: client, name: "GET /", attrs: []attr{{"peer.service", fmt.Sprintf("to-%d", i)}}}
		})},
		{name: "Envoy nodes with large metadata", do: manyNodes},
		{name: "quota keys", do: manyKeys},
		{name: "every table filled, then restarts", deaths: true, beside: true, do: fillAndRestart},
	}
}

// spansOf floods with spans made by number, while newcomers come.
func spansOf(spans, each int, span func(int) forged) func(context.Context, *world, *honest, *tally) (string, error) {
	return func(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
		err := flood{spans: spans, each: each, span: span}.run(ctx, w.otlp, n)
		return n.String(), err
	}
}

// manyNodes opens access log streams, each of a proxy that says much about itself and then nothing more. A thousand are open at
// a time.
func manyNodes(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	nodes := sized(8_000, 100_000)
	big := strings.Repeat("m", 400)
	var taken, failed atomic.Int64
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		cc, err := dial(w.mesh)
		if err != nil {
			return "", err
		}
		defer cc.Close()
		wg.Go(func() {
			var open []grpc.ClientStream
			shut := func() {
				for _, s := range open {
					_ = s.CloseSend()
				}
				for _, s := range open {
					var f wire.Frame
					if s.RecvMsg(&f) == nil {
						taken.Add(1)
						f.Free()
					} else {
						failed.Add(1)
					}
				}
				open = open[:0]
			}
			defer shut()
			for ctx.Err() == nil {
				i := next.Add(1)
				if i > int64(nodes) {
					return
				}
				fields := map[string]any{"NAMESPACE": fmt.Sprintf("junk%d", i), "WORKLOAD_NAME": fmt.Sprintf("w%d", i)}
				for k := range 20 {
					fields[fmt.Sprintf("K%d", k)] = big
				}
				meta, err := structpb.NewStruct(fields)
				if err != nil {
					return
				}
				m, err := proto.Marshal(&als.StreamAccessLogsMessage{Identifier: &als.StreamAccessLogsMessage_Identifier{
					LogName: "http", Node: &core.Node{Id: fmt.Sprintf("sidecar~10.0.0.1~w%d.junk%d~x", i, i), Cluster: fmt.Sprintf("w%d", i), Metadata: meta},
				}})
				if err != nil {
					return
				}
				c, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				s, err := cc.NewStream(c, &grpc.StreamDesc{ClientStreams: true}, logsMethod)
				if err != nil {
					failed.Add(1)
					continue
				}
				var f wire.Frame
				f.Set(m)
				if err := s.SendMsg(&f); err != nil {
					failed.Add(1)
					continue
				}
				if open = append(open, s); len(open) >= 90 { // below the streams that a connection may have
					shut()
				}
			}
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d streams taken, %d refused", taken.Load(), failed.Load()), ctx.Err()
}

// manyKeys asks for a quota of each of many tenants, once.
func manyKeys(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	keys := int64(sized(150_000, 2_000_000))
	var next, ok, over, failed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		cc, err := dial(w.rls)
		if err != nil {
			return "", err
		}
		defer cc.Close()
		for range 16 {
			wg.Go(func() {
				for ctx.Err() == nil {
					i := next.Add(1)
					if i > keys {
						return
					}
					c, cancel := context.WithTimeout(ctx, 10*time.Second)
					reply, err := call(c, cc, quotaMethod, question("bench", "tenant", fmt.Sprintf("junk-tenant-%d", i)))
					cancel()
					switch {
					case err != nil:
						failed.Add(1)
					case allowed(reply):
						ok.Add(1)
					default:
						over.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	return fmt.Sprintf("%d decisions: %d OK, %d over, %d failed", keys, ok.Load(), over.Load(), failed.Load()), ctx.Err()
}

// fillAndRestart fills nodes, then overflow pairs, then edges, in the order that once wrote a checkpoint that no server could
// read. The server is then ended and killed in turn, and must start each time.
func fillAndRestart(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	steps := []flood{
		{spans: 25_000, each: 500, span: func(i int) forged {
			return forged{service: fmt.Sprintf("junk-%d", i), trace: newTrace(), id: 1, kind: server, name: "GET /"}
		}},
		{spans: 1_000, each: 100, span: func(i int) forged {
			return forged{service: fmt.Sprintf("from-%d", i), trace: newTrace(), id: 1, kind: client, name: "GET /", attrs: []attr{{"peer.service", fmt.Sprintf("to-%d", i)}}}
		}},
		{spans: 1_000, each: 100, span: func(int) forged {
			return forged{service: "lonely", trace: newTrace(), id: 2, parent: 1, kind: server, name: "GET /"}
		}},
	}
	began := time.Now()
	for _, s := range steps {
		if err := s.run(ctx, w.otlp, n); err != nil {
			return "", err
		}
	}
	took := time.Since(began)
	time.Sleep(3 * time.Second) // an edge is made when halves have waited; a checkpoint comes with the end
	var longest time.Duration
	for i := range sized(3, 8) {
		if i%2 == 0 {
			if err := w.end(30 * time.Second); err != nil {
				return "", err
			}
		} else {
			w.kill()
		}
		again := time.Now()
		if err := w.start(); err != nil {
			return "", errors.Join(fmt.Errorf("start %d after the tables were filled", i+1), err)
		}
		longest = max(longest, time.Since(again))
		for _, s := range steps {
			if err := s.run(ctx, w.otlp, n); err != nil {
				return "", err
			}
		}
		time.Sleep(time.Second)
	}
	return fmt.Sprintf("27,000 spans in %.1f s; started %d times, the slowest in %.1f s", took.Seconds(), sized(3, 8), longest.Seconds()), nil
}
