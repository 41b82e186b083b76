package block

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// oracle is the store as one would write it who had all memory and all time.
type oracle struct {
	log [][]byte // records by position-1
}

func (o *oracle) batches() []*telemetry.Batch {
	var out []*telemetry.Batch
	for _, rec := range o.log {
		b := telemetry.NewBatch()
		if err := b.DecodeRecord(rec); err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}

func (o *oracle) trace(id telemetry.TraceID) ([]canonSpan, []canonRequest) {
	var spans []canonSpan
	var requests []canonRequest
	for _, b := range o.batches() {
		for _, s := range canonSpans(b) {
			if s.Span.TraceID == id {
				spans = append(spans, s)
			}
		}
		for _, r := range canonRequests(b) {
			if r.Request.TraceID == id {
				requests = append(requests, r)
			}
		}
	}
	return distinct(spans), inOrder(requests)
}

func (o *oracle) search(q telemetry.SpanQuery) []telemetry.TraceSummary {
	eval, err := filter.NewEvaluator(q.Filter)
	if err != nil {
		panic(err)
	}
	at := map[telemetry.TraceID]int64{}
	batches := o.batches()
	traces := map[telemetry.TraceID]telemetry.TraceSummary{}
	for _, b := range batches {
		for i := range b.Spans {
			s := &b.Spans[i]
			t, ok := traces[s.TraceID]
			if !ok {
				t = o.summary(batches, s.TraceID)
				traces[s.TraceID] = t
			}
			matches := eval.Eval(func(f filter.Field, yield func(filter.Type, []byte, uint64)) { b.SpanValues(s, &t, f, yield) }) == filter.IsTrue
			if last, ok := at[s.TraceID]; matches && (q.From == 0 || s.Start >= q.From) && (q.To == 0 || s.Start < q.To) && (!ok || s.Start > last) {
				at[s.TraceID] = s.Start
			}
		}
	}
	var hits []found
	for id, t := range at {
		hits = append(hits, found{id, t})
	}
	slices.SortFunc(hits, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.start, a.start), slices.Compare(a.id[:], b.id[:]))
	})
	out := []telemetry.TraceSummary{}
	for _, h := range hits[:min(len(hits), q.Limit)] {
		out = append(out, traces[h.id])
	}
	slices.SortStableFunc(out, func(a, b telemetry.TraceSummary) int { return cmp.Compare(b.Start, a.Start) })
	return out
}

func (o *oracle) summary(batches []*telemetry.Batch, id telemetry.TraceID) telemetry.TraceSummary {
	t := telemetry.TraceSummary{TraceID: id, Start: math.MaxInt64}
	end := int64(math.MinInt64)
	seen := map[string]bool{}
	services := map[string]int{}
	var first, root string // sort keys
	for _, b := range batches {
		for _, s := range b.Spans {
			service := b.CopyStr(b.Resources[s.Resource].Identity.Service)
			key := fmt.Sprintf("%020d %v %d %x %x", uint64(s.Start)^1<<63, s.SpanID, s.Kind, service, b.Str(s.Name))
			whole := fmt.Sprint(key, s.Duration, s.Status, s.ParentID.IsZero())
			if s.TraceID != id || seen[whole] {
				continue
			}
			seen[whole] = true
			t.Spans++
			services[service]++
			t.Start, end = min(t.Start, s.Start), max(end, s.Start+s.Duration)
			if s.Status == telemetry.StatusError {
				t.Errors++
			}
			if first == "" || key < first {
				if first = key; root == "" {
					t.RootService = service
				}
			}
			if s.ParentID.IsZero() && (root == "" || key < root) {
				root, t.RootService, t.RootOperation = key, service, b.CopyStr(s.Name)
			}
		}
	}
	t.Duration = end - t.Start
	for name, n := range services {
		t.Services = append(t.Services, telemetry.ServiceSpans{Name: name, Spans: n})
	}
	slices.SortFunc(t.Services, func(a, b telemetry.ServiceSpans) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), cmp.Compare(a.Name, b.Name))
	})
	return t
}

// Few of everything, so that things meet.
var (
	someStrings = []string{"", "a", "b", "cart", "$x", "\xff\x00", "\"q\\\n", "ä", "[1, 2]", `{"k":[1]}`, `{"$bytes":"x"}`, "[", "1", "true", "1.5"}
	someKeys    = []string{"k", "http.route", "$k", "$$", "\xfe", "n", "peer.service", "x.y"}
	baseTime    = int64(1_795_000_000_000_000_000)
)

type drawer struct {
	t *rapid.T
	b *telemetry.Batch
}

func (d *drawer) n(label string, limit int) int { return rapid.IntRange(0, limit).Draw(d.t, label) }

func (d *drawer) str() telemetry.StrID {
	return d.b.InternString(rapid.SampledFrom(someStrings).Draw(d.t, "string"))
}

func (d *drawer) attrs(most int) telemetry.Range {
	start := uint32(len(d.b.Attrs))
	for range d.n("attrs", most) {
		a := telemetry.Attr{Key: d.b.InternString(rapid.SampledFrom(someKeys).Draw(d.t, "key")), Type: telemetry.AttrType(d.n("type", 5))}
		switch a.Type {
		case telemetry.AttrInt:
			a.Value = uint64(rapid.SampledFrom([]int64{0, 1, -1, 200, math.MaxInt64, math.MinInt64}).Draw(d.t, "int"))
		case telemetry.AttrFloat:
			a.Value = math.Float64bits(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, 1.5, 1e300, math.NaN(), math.Inf(-1)}).Draw(d.t, "float"))
		case telemetry.AttrBool:
			a.Value = uint64(d.n("bool", 1))
		default:
			a.Value = uint64(d.str())
		}
		d.b.Attrs = append(d.b.Attrs, a)
	}
	return telemetry.Range{Start: start, Len: uint32(len(d.b.Attrs)) - start}
}

func (d *drawer) identity() telemetry.Identity {
	var p [8]telemetry.StrID
	for i := range p {
		p[i] = d.str()
	}
	return identityOf(p)
}

func (d *drawer) spanID(zero int) (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(rapid.IntRange(1-zero, 6).Draw(d.t, "span id"))<<50)
	return id
}

func (d *drawer) traceID(zero int) (id telemetry.TraceID) {
	id[rapid.SampledFrom([]int{0, 15}).Draw(d.t, "byte")] = byte(rapid.IntRange(1-zero, 5).Draw(d.t, "trace id"))
	return id
}

func (d *drawer) span() {
	b := d.b
	s := telemetry.Span{
		TraceID: d.traceID(0), SpanID: d.spanID(0), ParentID: d.spanID(1), Start: baseTime + int64(d.n("start", 20)), Duration: int64(d.n("duration", 5)),
		Name: d.str(), StatusMessage: d.str(), TraceState: d.str(), Resource: uint32(d.n("resource", len(b.Resources)-1)), ScopeName: d.str(),
		ScopeVersion: d.str(), Flags: uint32(d.n("flags", 2)) << 30, Kind: telemetry.SpanKind(d.n("kind", 5)), Status: telemetry.Status(d.n("status", 2)),
		Protocol: telemetry.Protocol(d.n("protocol", 5)), PeerKind: telemetry.NodeKind(d.n("peer kind", 5)), Outcome: telemetry.Outcome(d.n("outcome", 2)),
		Code: rapid.SampledFrom([]int32{-1, 0, 200, math.MaxInt32, math.MinInt32}).Draw(d.t, "code"), Peer: d.str(), PeerNamespace: d.str(), PeerSys: d.str(),
		Cluster: d.str(), Response: telemetry.ResponseFlags(d.n("response", 1)) << 31,
	}
	s.Events.Start = uint32(len(b.Events))
	for range d.n("events", 2) {
		b.Events = append(b.Events, telemetry.Event{Time: baseTime + int64(d.n("time", 9)), Name: d.str(), Attrs: d.attrs(2)})
	}
	s.Events.Len = uint32(len(b.Events)) - s.Events.Start
	s.Links.Start = uint32(len(b.Links))
	for range d.n("links", 2) {
		b.Links = append(b.Links, telemetry.Link{TraceID: d.traceID(1), SpanID: d.spanID(1), Attrs: d.attrs(2)})
	}
	s.Links.Len = uint32(len(b.Links)) - s.Links.Start
	s.Attrs = d.attrs(6)
	b.Spans = append(b.Spans, s)
}

func (d *drawer) requestID() (id telemetry.RequestID) {
	if d.n("uuid", 1) == 0 {
		id.Text = d.str()
	} else {
		id.UUID[d.n("at", 15)] = 9
	}
	return id
}

func (d *drawer) address() telemetry.Address {
	return telemetry.Address{Host: d.str(), Port: uint16(d.n("port", 2)) * 30000}
}

func (d *drawer) request() {
	d.b.Requests = append(d.b.Requests, telemetry.Request{
		TraceID: d.traceID(1), SpanID: d.spanID(1), Start: baseTime + int64(d.n("start", 20)), Duration: int64(d.n("duration", 5)),
		Resource: uint32(d.n("resource", len(d.b.Resources)-1)), Peer: d.identity(), PeerKind: telemetry.NodeKind(d.n("peer kind", 5)), Side: telemetry.Side(d.n("side", 1)),
		Protocol: telemetry.Protocol(d.n("protocol", 5)), TLS: telemetry.TLS(d.n("tls", 3)), Outcome: telemetry.Outcome(d.n("outcome", 2)),
		Response: telemetry.ResponseFlags(d.n("response", 1)) << 31, Code: int32(d.n("code", 2)) - 1, Method: d.str(), Path: d.str(), Authority: d.str(),
		RequestID: d.requestID(), Route: d.str(), Cluster: d.str(), Upstream: d.address(), Remote: d.address(), Attempts: uint32(d.n("attempts", 1)) * math.MaxUint32,
		BytesIn: uint64(d.n("in", 1)) * math.MaxUint64, BytesOut: uint64(d.n("out", 3)), Attrs: d.attrs(3),
	})
}

func (d *drawer) batch() {
	d.b = telemetry.NewBatch()
	d.b.Received = baseTime + int64(d.n("received", 1000))
	for range 1 + d.n("resources", 2) {
		d.b.Resources = append(d.b.Resources, telemetry.Resource{Identity: d.identity(), Attrs: d.attrs(2)})
	}
	for range d.n("spans", 8) {
		d.span()
	}
	for range d.n("requests", 3) {
		if s := d.b.Requests; len(s) == 0 || !s[len(s)-1].TraceID.IsZero() {
			d.request()
		}
	}
}

// TestModel puts random batches in, seals and reopens at random, replays the log from
// its start, and asks the same of the store and of the oracle.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "block") //nolint:usetesting // one of many of the test
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		cfg := DefaultConfig()
		cfg.MaxHeadSpans = rapid.SampledFrom([]int{1, 10, 100000}).Draw(t, "max head spans")
		cfg.RetentionAge, cfg.MaxOpenFiles = 0, 4
		s := openTest(t, dir, cfg)
		o := &oracle{}
		d := &drawer{t: t}
		replay := func(from int) {
			for i := from; i < len(o.log); i++ {
				b := telemetry.NewBatch()
				if err := b.DecodeRecord(o.log[i]); err != nil {
					t.Fatal(err)
				}
				consume(t, s, telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b, Record: o.log[i]})
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"consume": func(t *rapid.T) {
				d.t = t
				d.batch()
				o.log = append(o.log, d.b.AppendRecord(nil))
				replay(len(o.log) - 1)
			},
			"seal": func(t *rapid.T) { seal(t, s) },
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openTest(t, dir, cfg)
				replay(rapid.IntRange(0, int(s.Applied())).Draw(t, "from"))
			},
			"trace": func(t *rapid.T) {
				d.t = t
				id := d.traceID(0)
				spans, requests := o.trace(id)
				b, _, err := s.Trace(context.Background(), id)
				if err != nil {
					if !errors.Is(err, ErrNotFound) || len(spans)+len(requests) > 0 {
						t.Fatalf("trace %v: %v; the oracle has %d spans, %d requests", id, err, len(spans), len(requests))
					}
					return
				}
				if diff := gocmp.Diff(spans, inOrder(canonSpans(b))); diff != "" {
					t.Fatalf("spans of %v (-oracle +store):\n%s", id, diff)
				}
				if diff := gocmp.Diff(requests, inOrder(canonRequests(b))); diff != "" {
					t.Fatalf("requests of %v (-oracle +store):\n%s", id, diff)
				}
			},
			"search": func(t *rapid.T) {
				d.t = t
				q := d.query()
				got, _, err := s.Search(context.Background(), q)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(o.search(q), got); diff != "" {
					t.Fatalf("search %v (-oracle +store):\n%s", q, diff)
				}
			},
			"tags": func(t *rapid.T) {
				d.t = t
				d.tags(s, o)
			},
			"": func(t *rapid.T) {
				spans, requests := 0, 0
				for _, b := range o.batches() {
					spans += len(b.Spans)
					requests += len(b.Requests)
				}
				if st := s.Stats(); st.Spans != spans || st.Requests != requests || st.Applied > telemetry.Position(len(o.log)) {
					t.Fatalf("stats %+v; the oracle has %d spans, %d requests, %d entries", st, spans, requests, len(o.log))
				}
				if n := testutil.CollectAndCount(s.metrics.damaged); n > 0 {
					t.Fatal("a block was found damaged")
				}
			},
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
