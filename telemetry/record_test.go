package telemetry_test

import (
	"encoding/hex"
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
	address := func() telemetry.Address {
		return telemetry.Address{Host: str.Draw(t, "host"), Port: rapid.Uint16().Draw(t, "port")}
	}
	requestID := func() (id telemetry.RequestID) {
		if rapid.Bool().Draw(t, "is a UUID") {
			id.UUID[rapid.IntRange(0, 15).Draw(t, "at")] = 7
		} else {
			id.Text = str.Draw(t, "rid")
		}
		return id
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
		if rapid.Bool().Draw(t, "sampled") {
			b.Spans[len(b.Spans)-1].Weight = telemetry.Weight(rapid.IntRange(0, int(telemetry.HeaviestWeight)).Draw(t, "weight"))
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "requests") {
		b.Requests = append(b.Requests, telemetry.Request{
			TraceID: id16(), SpanID: id8(), Start: rapid.Int64().Draw(t, "start"), Duration: rapid.Int64Range(0, math.MaxInt64).Draw(t, "d"),
			Resource: res.Draw(t, "r"), Peer: identity(), PeerKind: telemetry.NodeKind(rapid.IntRange(0, 5).Draw(t, "pk")),
			Side: telemetry.Side(rapid.IntRange(0, 1).Draw(t, "side")), Protocol: telemetry.Protocol(rapid.IntRange(0, 5).Draw(t, "p")),
			TLS: telemetry.TLS(rapid.IntRange(0, 3).Draw(t, "tls")), Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(t, "o")),
			Response: telemetry.ResponseFlags(rapid.Uint32().Draw(t, "rf")), Code: rapid.Int32().Draw(t, "code"),
			Method: str.Draw(t, "m"), Path: str.Draw(t, "path"), Authority: str.Draw(t, "au"), RequestID: requestID(),
			Route: str.Draw(t, "route"), Cluster: str.Draw(t, "cl"), Upstream: address(), Remote: address(),
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

// TestRecordVersion1 reads a record that version 1 wrote, with a request's addresses and id as
// text, and nothing of a second request.
func TestRecordVersion1(t *testing.T) {
	t.Parallel()
	rec, err := hex.DecodeString("013f00b69e85018b99180a040403030224070c0b0d6361727473686f707765624745542f7833633066396134342d376134332d396434392d38616435" +
		"2d35623164356235663866313064656661756c74696e626f756e647c38307c7c31302e302e302e313a383031302e302e302e323a3430303000010040" +
		"003f00000000000000000201010200000000000000000000000000000300000000000000110301090700000000410000000000900342433f44454647" +
		"48010203000000000000000000000000000000000001000000000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	b := telemetry.NewBatch()
	if err := b.DecodeRecord(rec); err != nil {
		t.Fatal(err)
	}
	if len(b.Requests) != 2 {
		t.Fatalf("%d requests, want 2", len(b.Requests))
	}
	r := &b.Requests[0]
	got := []any{
		r.TraceID[0], r.SpanID[0], r.Start - b.Received, r.Duration, b.Str(r.Peer.Service), r.PeerKind, r.Side, r.Protocol, r.TLS, r.Code, b.Str(r.Method), b.Str(r.Path),
		b.Str(r.Authority), b.Str(r.RequestID.Text), b.Str(r.Route), b.Str(r.Cluster), b.Str(r.Upstream.Host), b.Str(r.Remote.Host), r.Attempts, r.BytesIn, r.BytesOut,
	}
	want := []any{
		byte(1), byte(3), int64(-5), int64(7), "web", telemetry.NodeService, telemetry.SideServer, telemetry.ProtocolHTTP, telemetry.TLSMutual, int32(200), "GET", "/x",
		"cart", "3c0f9a44-7a43-9d49-8ad5-5b1d5b5f8f10", "default", "inbound|80||", "10.0.0.1:80", "10.0.0.2:4000", uint32(1), uint64(2), uint64(3),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff(telemetry.Request{Start: b.Received, Code: -1}, b.Requests[1]); d != "" {
		t.Errorf("the second (-want +got)\n%s", d)
	}
}

// Where no span stands for more than itself a record is what version 2 wrote, which older binaries read; else it is of version 3, and one byte longer for
// each that does.
func TestRecordOfSampledSpans(t *testing.T) {
	t.Parallel()
	b, _ := span(telemetry.KindServer, "http.request.method=GET")
	b.Spans = append(b.Spans, b.Spans[0])
	rec := b.AppendRecord(nil)
	b.Spans[1].Weight = 7
	sampled := b.AppendRecord(nil)
	if rec[0] != 2 || sampled[0] != 3 || len(sampled) != len(rec)+1 {
		t.Errorf("records of versions %d and %d, of %d and %d bytes", rec[0], sampled[0], len(rec), len(sampled))
	}
	got := telemetry.NewBatch()
	if err := got.DecodeRecord(sampled); err != nil || got.Spans[0].Weight != 0 || got.Spans[1].Weight != 7 {
		t.Errorf("decoded with weights %d and %d, error %v", got.Spans[0].Weight, got.Spans[1].Weight, err)
	}
	sampled[0] = 2
	if err := got.DecodeRecord(sampled); err == nil {
		t.Error("a weight was read in version 2")
	}
	b.Spans[1].Weight = telemetry.HeaviestWeight + 1
	if err := got.DecodeRecord(b.AppendRecord(nil)); err == nil {
		t.Error("a weight that there is not was read")
	}
}

// TestParseUUID reads UUIDs and what only looks like one.
func TestParseUUID(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"3c0f9a44-7a43-9d49-8ad5-5b1d5b5f8f10":  "3c0f9a447a439d498ad55b1d5b5f8f10",
		"3c0f9a44-7a43-9d49-8ad5-5b1d5b5f8f1":   "",
		"3c0f9a44-7a43-9d49-8ad5-5b1d5b5f8f100": "",
		"3C0f9a44-7a43-9d49-8ad5-5b1d5b5f8f10":  "", // it would come back in another case
		"3c0f9a4g-7a43-9d49-8ad5-5b1d5b5f8f10":  "",
		"3c0f9a44-7a43-9d49-8ad5+5b1d5b5f8f10":  "",
		"00000000-0000-0000-0000-000000000000":  "", // none
		"":                                      "",
	} {
		id, ok := telemetry.ParseUUID([]byte(s))
		if ok != (want != "") || ok && hex.EncodeToString(id[:]) != want {
			t.Errorf("%q is %x, %v", s, id, ok)
		}
	}
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
