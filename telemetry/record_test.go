package telemetry_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// drawBatch draws a batch of any content that a decoder could make.
func drawBatch(t *rapid.T) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = rapid.Int64().Draw(t, "received")
	str := rapid.Custom(func(t *rapid.T) telemetry.StrID {
		return b.InternString(rapid.OneOf(rapid.StringN(0, 6, 20), rapid.SampledFrom([]string{"service.name", "http.route", "cart"})).Draw(t, "s"))
	})
	attrs := func() telemetry.Range {
		r := telemetry.Range{Start: uint32(len(b.Attrs))}
		for range rapid.IntRange(0, 4).Draw(t, "attrs") {
			a := telemetry.Attr{Key: str.Draw(t, "key"), Type: telemetry.AttrType(rapid.IntRange(0, 5).Draw(t, "type"))}
			switch a.Type {
			case telemetry.AttrInt, telemetry.AttrFloat:
				a.Value = rapid.Uint64().Draw(t, "number")
			case telemetry.AttrBool:
				a.Value = uint64(rapid.IntRange(0, 1).Draw(t, "bool"))
			default:
				a.Value = uint64(str.Draw(t, "value"))
			}
			b.Attrs = append(b.Attrs, a)
			r.Len++
		}
		if r.Len == 0 {
			return telemetry.Range{}
		}
		return r
	}
	identity := func() telemetry.Identity {
		return telemetry.Identity{
			Cluster: str.Draw(t, "c"), Namespace: str.Draw(t, "n"), Workload: str.Draw(t, "w"), Service: str.Draw(t, "s"),
			App: str.Draw(t, "a"), Version: str.Draw(t, "v"), Instance: str.Draw(t, "i"), Principal: str.Draw(t, "p"),
		}
	}
	id8 := func() (id telemetry.SpanID) { id[7] = rapid.Byte().Draw(t, "id"); return id }
	id16 := func() (id telemetry.TraceID) { id[15] = rapid.Byte().Draw(t, "id"); return id }
	for range rapid.IntRange(1, 3).Draw(t, "resources") {
		b.Resources = append(b.Resources, telemetry.Resource{Identity: identity(), Attrs: attrs()})
	}
	res := rapid.Uint32Range(0, uint32(len(b.Resources)-1))
	for range rapid.IntRange(0, 6).Draw(t, "spans") {
		s := telemetry.Span{
			TraceID: id16(), SpanID: id8(), ParentID: id8(), Start: rapid.Int64().Draw(t, "start"),
			Duration: rapid.Int64Range(0, math.MaxInt64).Draw(t, "duration"), Name: str.Draw(t, "name"),
			StatusMessage: str.Draw(t, "m"), TraceState: str.Draw(t, "ts"), Resource: res.Draw(t, "r"),
			ScopeName: str.Draw(t, "sn"), ScopeVersion: str.Draw(t, "sv"), Attrs: attrs(), Flags: rapid.Uint32().Draw(t, "f"),
			Kind: telemetry.SpanKind(rapid.IntRange(0, 5).Draw(t, "k")), Status: telemetry.Status(rapid.IntRange(0, 2).Draw(t, "st")),
		}
		s.Events = telemetry.Range{Start: uint32(len(b.Events))}
		for range rapid.IntRange(0, 2).Draw(t, "events") {
			b.Events = append(b.Events, telemetry.Event{Time: rapid.Int64().Draw(t, "t"), Name: str.Draw(t, "n"), Attrs: attrs()})
			s.Events.Len++
		}
		s.Links = telemetry.Range{Start: uint32(len(b.Links))}
		for range rapid.IntRange(0, 2).Draw(t, "links") {
			b.Links = append(b.Links, telemetry.Link{TraceID: id16(), SpanID: id8(), Attrs: attrs()})
			s.Links.Len++
		}
		b.Spans = append(b.Spans, s)
		b.FinishSpan(len(b.Spans) - 1)
	}
	for range rapid.IntRange(0, 4).Draw(t, "requests") {
		b.Requests = append(b.Requests, telemetry.Request{
			TraceID: id16(), SpanID: id8(), Start: rapid.Int64().Draw(t, "start"), Duration: rapid.Int64Range(0, math.MaxInt64).Draw(t, "d"),
			Resource: res.Draw(t, "r"), Peer: identity(), PeerKind: telemetry.NodeKind(rapid.IntRange(0, 5).Draw(t, "pk")),
			Side: telemetry.Side(rapid.IntRange(0, 1).Draw(t, "side")), Protocol: telemetry.Protocol(rapid.IntRange(0, 5).Draw(t, "p")),
			TLS: telemetry.TLS(rapid.IntRange(0, 3).Draw(t, "tls")), Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(t, "o")),
			Response: telemetry.ResponseFlags(rapid.Uint32().Draw(t, "rf")), Code: rapid.Int32().Draw(t, "code"),
			Method: str.Draw(t, "m"), Path: str.Draw(t, "path"), Authority: str.Draw(t, "au"), RequestID: str.Draw(t, "rid"),
			Route: str.Draw(t, "route"), Cluster: str.Draw(t, "cl"), Upstream: str.Draw(t, "up"), Remote: str.Draw(t, "rem"),
			Attempts: rapid.Uint32().Draw(t, "at"), BytesIn: rapid.Uint64().Draw(t, "in"), BytesOut: rapid.Uint64().Draw(t, "out"), Attrs: attrs(),
		})
	}
	return b
}

// sameBatch compares what two batches hold: the arrays, which refer by StrID,
// and the strings behind the ids.
func sameBatch(want, got *telemetry.Batch) string {
	strs := func(b *telemetry.Batch) (out []string) {
		for i := range b.Strings() {
			out = append(out, b.CopyStr(telemetry.StrID(i)))
		}
		return out
	}
	// A request without a trace has no span either.
	for i := range want.Requests {
		if r := &want.Requests[i]; r.TraceID.IsZero() {
			r.SpanID = telemetry.SpanID{}
		}
	}
	// An empty range says the same wherever it starts.
	tidy := cmp.Transformer("range", func(r telemetry.Range) telemetry.Range {
		if r.Len == 0 {
			return telemetry.Range{}
		}
		return r
	})
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(telemetry.Batch{}), cmpopts.EquateEmpty(), tidy) + cmp.Diff(strs(want), strs(got))
}

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want, got := drawBatch(t), telemetry.NewBatch()
		rec := want.AppendRecord([]byte("before"))
		if err := got.DecodeRecord(rec[len("before"):]); err != nil {
			t.Fatal(err)
		}
		if d := sameBatch(want, got); d != "" {
			t.Fatalf("(-sent +got)\n%s", d)
		}
		if id := got.InternString("service.name"); id != telemetry.KeyServiceName {
			t.Fatalf("a decoded batch interns service.name as %d, want %d", id, telemetry.KeyServiceName)
		}
	})
}

// A record cut anywhere is an error, and never a panic or a shorter batch.
func TestRecordCutShort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rec := drawBatch(t).AppendRecord(nil)
		n := rapid.IntRange(0, len(rec)-1).Draw(t, "cut")
		if err := telemetry.NewBatch().DecodeRecord(rec[:n]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(rec))
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	for i := range 8 {
		f.Add(rapid.Custom(func(t *rapid.T) []byte { return drawBatch(t).AppendRecord(nil) }).Example(i))
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		b := telemetry.NewBatch()
		if b.DecodeRecord(rec) != nil {
			return
		}
		// What is accepted must be whole: every reference leads somewhere, and
		// it encodes and decodes again to the same.
		again := telemetry.NewBatch()
		if err := again.DecodeRecord(b.AppendRecord(nil)); err != nil {
			t.Fatalf("an accepted record does not survive: %v", err)
		}
		if d := sameBatch(b, again); d != "" {
			t.Fatal(d)
		}
		for _, s := range b.Spans {
			_ = b.Str(s.Name) + b.Str(b.Resources[s.Resource].Identity.Service) + s.Kind.String() + s.Protocol.String() + s.PeerKind.String()
			for _, a := range b.AttrsOf(s.Attrs) {
				_ = b.Str(a.Key)
			}
		}
	})
}
