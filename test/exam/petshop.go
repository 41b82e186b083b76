package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The archive petshop-dev holds no spans. Of each node it has, for each five minutes, how many requests came, how many of them failed, and
// quantiles of how long they took; and it says who calls whom, not how often. From that requests are made up which have just these figures:
// spread evenly over their five minutes, as long as the quantiles say, and divided among a node's callers by how busy those are. What the judge
// is thereby told that nobody measured is how a node's requests divide among its callers; what it is not told is which request caused which.
//
// Of two of the four traffics a time in which all was well is recorded, of which the last healthyBuckets come before each incident; the other two
// have that of low_traffic, which is nearest to theirs.
const (
	bucket         = int64(300e9) // nanoseconds
	healthyBuckets = 36           // three hours
	healthyElse    = "low_traffic"
)

// A record is a file of metrics.
type record struct {
	Scenario   string
	Target     struct{ Timestamp float64 } // when the incident was seen, Unix seconds
	Timestamps []float64                   // the buckets' beginnings, Unix seconds
	Metrics    map[string]metrics          // by node
}

// metrics are a node's, a figure for each bucket; nil where there was nothing to measure.
type metrics struct {
	Latency      map[string][]*float64 // seconds: p50, p90, p95, p99, Average
	Requests     sum
	Availability average // per cent
}

type (
	sum     struct{ Sum []*float64 }
	average struct{ Average []*float64 }
)

// shopGraph is who calls whom.
type shopGraph struct{ Edges [][2]string }

func petshop(ctx context.Context, file string) ([]*system, error) {
	files, err := archive(file, func(n string) bool { return strings.HasSuffix(n, ".json") })
	if err != nil {
		return nil, err
	}
	read := func(name string, into any) error {
		body, ok := files["petshop/json/"+name+".json"]
		if !ok {
			return fmt.Errorf("%s has no %s", file, name)
		}
		return json.Unmarshal(body, into)
	}
	var labels map[string]struct {
		RootCause struct{ Node string } `json:"root_cause"`
		Normal    bool                  `json:"normal_available"`
		How       struct{ Reproducibility struct{ Command string } }
	}
	if err := read("labels-dev", &labels); err != nil {
		return nil, err
	}
	all := &system{name: "PetShop (figures, no spans)"}
	stages, usual := map[string]*stage{}, map[string]*record{}
	for _, name := range sortedKeys(labels) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var r record
		var g shopGraph
		if err := read("dev/"+name, &r); err != nil {
			return nil, err
		}
		if err := read(r.Scenario+"-graph", &g); err != nil {
			return nil, err
		}
		healthy := r.Scenario
		if !labels[name].Normal {
			healthy = healthyElse
		}
		key := healthy + " as " + r.Scenario // who calls whom differs
		if stages[key] == nil {
			normal, s := new(record), newStage()
			if err := read(healthy+"-normal", normal); err != nil {
				return nil, err
			}
			s.playRecord(normal, &g, len(normal.Timestamps)-healthyBuckets, int64(1e18)/bucket*bucket, nil)
			stages[key], usual[key] = s, normal
		}
		s, err := stages[key].fork()
		if err != nil {
			return nil, err
		}
		in := newIncident(name+" "+setting(labels[name].How.Reproducibility.Command), labels[name].RootCause.Node)
		begin := s.now
		seen := begin + int64((r.Target.Timestamp-r.Timestamps[0])*1e9)
		s.playRecord(&r, &g, 0, begin, func(g *telemetry.Graph) { in.see(s, g, s.now < seen) })
		in.scene = sceneOfRecord(usual[key], &r, &g)
		all.incidents = append(all.incidents, in)
	}
	return []*system{all}, nil
}

// setting is what the command sets by which an incident was made: "searchdelay 500".
func setting(command string) string {
	_, of, _ := strings.Cut(command, "--name '/petstore/")
	name, of, _ := strings.Cut(of, "'")
	_, of, _ = strings.Cut(of, "--value '")
	to, _, _ := strings.Cut(of, "'")
	return name + " " + to
}

// playRecord plays the buckets of a record from one of them on, the first of them at Unix nanoseconds at.
func (s *stage) playRecord(r *record, g *shopGraph, from int, at int64, look func(*telemetry.Graph)) {
	if s.now == 0 {
		s.now = at
	}
	for i := from; i < len(r.Timestamps); i++ {
		s.play(r.calls(g, i, at), at+bucket, look)
		at += bucket
	}
}

// value is a figure of a bucket, or what stands for one that is not there.
func value(of []*float64, i int, otherwise float64) float64 {
	if i >= len(of) || of[i] == nil {
		return otherwise
	}
	return *of[i]
}

// calls makes up the requests of a bucket that begins at Unix nanoseconds at.
func (r *record) calls(g *shopGraph, i int, at int64) (out []call) {
	random := rand.New(rand.NewPCG(uint64(at), uint64(i))) //nolint:gosec // it is to be repeated
	for _, node := range sortedKeys(r.Metrics) {
		m := r.Metrics[node]
		n := int(value(m.Requests.Sum, i, 0))
		if n == 0 || math.IsNaN(value(m.Latency["p50"], i, math.NaN())) {
			continue
		}
		callers, busy := r.callers(g, i, node)
		failing := int(math.Round(float64(n) * (1 - value(m.Availability.Average, i, 100)/100)))
		fails, takes := random.Perm(n), random.Perm(n)
		for k := range n {
			took := int64(1e9 * r.quantile(node, i, (float64(takes[k])+0.5)/float64(n)))
			end := at + int64((float64(k)+random.Float64())/float64(n)*float64(bucket-1))
			server := call{service: node, namespace: "petshop", kind: telemetry.KindServer, start: end - took, took: took, failed: fails[k] < failing}
			h := fnv.New64a()
			fmt.Fprintf(h, "%s %d %d", node, at, k)
			id := h.Sum64() | 1
			binary.BigEndian.PutUint64(server.trace[:], id)
			server.id = number(id)
			if len(callers) > 0 {
				pick := random.Float64() * busy[len(busy)-1]
				at := min(slices.IndexFunc(busy, func(b float64) bool { return pick <= b }), len(callers)-1)
				client := server
				client.service, client.kind, client.id = callers[max(at, 0)], telemetry.KindClient, number(id^1<<63)
				server.parent = client.id
				out = append(out, client)
			}
			out = append(out, server)
		}
	}
	return out
}

// callers are those who call a node and had requests themselves, with the running sum of how many.
func (r *record) callers(g *shopGraph, i int, node string) (names []string, busy []float64) {
	sum := 0.0
	for _, e := range g.Edges {
		if n := value(r.Metrics[e[0]].Requests.Sum, i, 0); e[1] == node && e[0] != node && n > 0 {
			sum += n
			names, busy = append(names, e[0]), append(busy, sum)
		}
	}
	return names, busy
}

// quantile is how long the part q of a node's requests takes at most, in seconds: between the quantiles that are known by their logarithms.
func (r *record) quantile(node string, i int, q float64) float64 {
	l := r.Metrics[node].Latency
	p50 := value(l["p50"], i, 0)
	last, from := 0.0, p50/2
	for _, k := range []struct {
		q    float64
		name string
	}{{0.5, "p50"}, {0.9, "p90"}, {0.95, "p95"}, {0.99, "p99"}} {
		to := max(value(l[k.name], i, from), from)
		if q <= k.q {
			return math.Exp(math.Log(max(from, 1e-6)) + (q-last)/(k.q-last)*(math.Log(max(to, 1e-6))-math.Log(max(from, 1e-6))))
		}
		last, from = k.q, to
	}
	return from
}

// sceneOfRecord compares the worst bucket since the incident was seen with what was usual.
func sceneOfRecord(normal, r *record, g *shopGraph) scene {
	s := scene{oddity: map[string]float64{}, calls: map[string][]string{}}
	begin := slices.IndexFunc(r.Timestamps, func(t float64) bool { return t+time.Duration(bucket).Seconds() > r.Target.Timestamp })
	for node, m := range r.Metrics {
		var latency, wrong spread
		n := normal.Metrics[node]
		for i := range normal.Timestamps {
			if value(n.Requests.Sum, i, 0) > 0 {
				latency.add(value(n.Latency["Average"], i, 0))
				wrong.add(-value(n.Availability.Average, i, 100))
			}
		}
		odd, seen := 0.0, false
		for i := begin; i < len(r.Timestamps); i++ {
			if value(m.Requests.Sum, i, 0) > 0 {
				seen = true
				odd = max(odd, latency.away(value(m.Latency["Average"], i, 0)), wrong.away(-value(m.Availability.Average, i, 100)))
			}
		}
		if seen {
			s.oddity[node] = odd
		}
	}
	for _, e := range g.Edges {
		if s.has(e[0]) && s.has(e[1]) && e[0] != e[1] {
			s.calls[e[0]] = append(s.calls[e[0]], e[1])
		}
	}
	return s
}
