package aggregator

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	dbpkg "github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestKillsInTheStore kills the process at any moment, with a checkpoint or without, while series come, leave for others and come back:
// what was sent is what a query finds, however little of it had been flushed, and nothing is found twice.
func TestKillsInTheStore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := DefaultConfig()
		leave := rapid.Bool().Draw(rt, "series leave") // those of edges leave otherwise in a replay: see ADR 027
		if cfg.MaxSeries, cfg.IdleAfter = 100, 24*time.Hour; leave {
			cfg.MaxSeries, cfg.IdleAfter = 10, time.Minute
		}
		db := openStore(t, t.TempDir())
		k := &killed{rt: rt, cfg: cfg, db: db, now: epoch, noEdges: leave}
		k.start()
		rt.Repeat(map[string]func(*rapid.T){
			"entry": func(rt *rapid.T) {
				var names []string
				for range rapid.IntRange(0, 3).Draw(rt, "calls") {
					names = append(names, rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(rt, "name"))
				}
				k.entry(names)
			},
			"waited": func(*rapid.T) { k.observe() },
			"time": func(rt *rapid.T) {
				k.pass(rapid.SampledFrom([]int64{1e8, 1e9, 4e9, 21e9, 46e9, 70e9}).Draw(rt, "passes"))
			},
			"flush":      func(*rapid.T) { k.flush() },
			"checkpoint": func(*rapid.T) { k.checkpoint() },
			"kill": func(rt *rapid.T) {
				k.now += rapid.SampledFrom([]int64{1e8, 1e9, 60e9, 3 * 3600e9}).Draw(rt, "down")
				k.start()
			},
		})
		k.pass(1e9)
		k.observe()
		k.flush()
		for _, metric := range []string{canonical.Operation, canonical.Edge} {
			var total float64
			found := samples(t, db, named(metric))
			for _, s := range found {
				total += told(t, s)
			}
			if want := k.sent[metric]; total != want {
				rt.Fatalf("%v of %s were sent, and the increases sum to %v: %v", want, metric, total, found)
			}
		}
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// killed is a log, its store, and a process that follows it.
type killed struct {
	rt      *rapid.T
	cfg     Config
	db      *dbpkg.DB
	a       *Aggregator
	now     int64
	log     []step
	taken   int64 // how many observations of the log have been told
	saved   []byte
	at      int // the entries that are in saved
	noEdges bool
	left    int // observations of the log that are told in it
	sent    map[string]float64
	edges   map[string]*telemetry.Edge
}

// start begins a process: with the checkpoint, the log, and the first flush.
func (k *killed) start() {
	if k.sent == nil {
		k.sent = map[string]float64{}
	}
	k.a, k.edges = New(k.cfg, prometheus.NewRegistry()), map[string]*telemetry.Edge{}
	if k.saved != nil {
		if err := k.a.Load(bytes.NewReader(k.saved)); err != nil {
			k.rt.Fatal(err)
		}
	}
	k.taken = int64(k.left)
	for i := k.at; i < len(k.log); i++ {
		k.consume(i)
	}
	k.observe() // as the app has the graph tick once before the first flush
	k.flush()
}

func (k *killed) consume(i int) {
	if err := k.a.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: k.log[i].batch}); err != nil {
		k.rt.Fatal(err)
	}
	k.tell(k.log[i].batch.Received, i, telemetry.Position(i))
}

// tell observes what has waited for ten seconds at a time, as topology does it: with the entry that comes, or between two.
func (k *killed) tell(now int64, upTo int, from telemetry.Position) {
	var due []telemetry.Observation
	n := int64(0)
	for i := range upTo + 1 {
		for _, o := range k.log[i].observations {
			if n++; n <= k.taken {
				continue
			}
			if k.log[i].batch.Received+10e9 > now {
				break
			}
			e := k.edges[o.Edge.Target.Node.Name]
			if e == nil {
				c := *o.Edge
				e = &c
				k.edges[o.Edge.Target.Node.Name] = e
			}
			o.Edge = e
			due = append(due, o)
			k.taken = n
		}
	}
	k.a.Observe(telemetry.Observed{From: from, To: k.a.Applied(), Requests: due})
}

func (k *killed) entry(names []string) {
	k.now += 20e6
	b := telemetry.NewBatch()
	b.Received = k.now
	st := step{batch: b}
	for _, name := range names {
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(name)}})
		b.Spans = append(b.Spans, telemetry.Span{Start: k.now, Duration: 1e6, Resource: uint32(len(b.Resources) - 1), Name: b.InternString("get"), Kind: telemetry.KindServer})
		if k.noEdges {
			continue
		}
		e := &telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
		e.Source.Node.Name, e.Target.Node.Name = "front", name
		st.observations = append(st.observations, telemetry.Observation{Edge: e, At: k.now, Duration: 1e6, Code: 200})
	}
	k.sent[canonical.Operation] += float64(len(names))
	k.log = append(k.log, st)
	k.consume(len(k.log) - 1)
}

// observe is a tick of the graph's.
func (k *killed) observe() {
	k.tell(k.now, len(k.log)-1, k.a.Applied())
	k.sent[canonical.Edge] = 0
	for i := range k.log {
		if k.log[i].batch.Received+10e9 <= k.now {
			k.sent[canonical.Edge] += float64(len(k.log[i].observations))
		}
	}
}

// pass lets time pass, with the flushes and the ticks that come in it.
func (k *killed) pass(d int64) {
	for end := k.now + d; k.now < end; {
		k.now = min(end, k.now+5e9)
		k.observe()
		k.flush()
	}
}

func (k *killed) flush() {
	k.now += 10e6
	if err := k.a.Flush(context.Background(), time.Unix(0, k.now), k.db); err != nil {
		k.rt.Fatal(err)
	}
}

func (k *killed) checkpoint() {
	k.flush()
	var b bytes.Buffer
	if err := k.a.Save(&b); err != nil {
		k.rt.Fatal(fmt.Errorf("save: %w", err))
	}
	k.saved, k.at, k.left = b.Bytes(), len(k.log), int(k.taken)
}

// told adds up the increases in "time:count time:count time:end" as a query knows them: by the sample before.
func told(t *testing.T, s string) float64 {
	t.Helper()
	if first, _, _ := strings.Cut(s, " "); !strings.HasSuffix(first, ":0") {
		return math.NaN() // a series that does not begin with a zero
	}
	return increaseOf(t, s)
}
