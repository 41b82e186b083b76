package topology

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func take(f map[string]string, k string) string {
	v := f[k]
	delete(f, k)
	return v
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// addResource reads at=namespace/service@version#principal.
func addResource(b *telemetry.Batch, resources map[string]uint32, of string) uint32 {
	if r, ok := resources[of]; ok {
		return r
	}
	name, principal, _ := strings.Cut(of, "#")
	name, version, _ := strings.Cut(name, "@")
	namespace, service, ok := strings.Cut(name, "/")
	if !ok {
		namespace, service = "", name
	}
	r := uint32(len(b.Resources))
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
		Namespace: b.InternString(namespace), Service: b.InternString(service), Version: b.InternString(version), Principal: b.InternString(principal),
	}})
	resources[of] = r
	return r
}

// spanID makes an id of a short word.
func spanID(s string) (id telemetry.SpanID) {
	if s == "-" {
		return id
	}
	copy(id[:], s)
	return id
}

func traceID(s string) (id telemetry.TraceID) {
	copy(id[:], s)
	return id
}

// id64 is a span id made of a number.
func id64(n uint64) (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

func addSpan(t *testing.T, b *telemetry.Batch, resources map[string]uint32, f map[string]string) {
	t.Helper()
	kinds := map[string]telemetry.SpanKind{
		"internal": telemetry.KindInternal, "server": telemetry.KindServer, "client": telemetry.KindClient,
		"producer": telemetry.KindProducer, "consumer": telemetry.KindConsumer,
	}
	s := telemetry.Span{
		TraceID: traceID(take(f, "trace")), SpanID: spanID(take(f, "id")), ParentID: spanID(take(f, "parent")),
		Kind: kinds[take(f, "kind")], Resource: addResource(b, resources, take(f, "of")),
		Start: b.Received, Duration: int64(5 * time.Millisecond),
		Name: b.InternString(strings.ReplaceAll(take(f, "name"), "_", " ")),
	}
	if d := take(f, "took"); d != "" {
		s.Duration = int64(duration(t, d))
	}
	if link := take(f, "link"); link != "" {
		for l := range strings.SplitSeq(link, ",") {
			trace, id, _ := strings.Cut(l, ":")
			if s.Links.Len == 0 {
				s.Links.Start = uint32(len(b.Links))
			}
			b.Links = append(b.Links, telemetry.Link{TraceID: traceID(trace), SpanID: spanID(id)})
			s.Links.Len++
		}
	}
	if take(f, "status") == "error" {
		s.Status = telemetry.StatusError
	}
	s.Attrs.Start = uint32(len(b.Attrs))
	for k, v := range f {
		b.Attrs = append(b.Attrs, telemetry.Attr{Key: b.InternString(k), Type: telemetry.AttrString, Value: uint64(b.InternString(v))})
		s.Attrs.Len++
	}
	b.Spans = append(b.Spans, s)
	b.FinishSpan(len(b.Spans) - 1)
}

func addLog(t *testing.T, b *telemetry.Batch, resources map[string]uint32, f map[string]string) {
	t.Helper()
	r := telemetry.Request{
		TraceID: traceID(take(f, "trace")), SpanID: spanID(take(f, "id")),
		Resource: addResource(b, resources, take(f, "of")),
		Start:    b.Received, Duration: int64(5 * time.Millisecond), Protocol: telemetry.ProtocolHTTP, Code: 200,
		RequestID: telemetry.RequestID{Text: b.InternString(take(f, "reqid"))},
	}
	if d := take(f, "took"); d != "" {
		r.Duration = int64(duration(t, d))
	}
	if take(f, "side") == "server" {
		r.Side = telemetry.SideServer
	}
	if c := take(f, "code"); c != "" {
		r.Code = int32(number(t, c))
	}
	r.Response = telemetry.ParseResponseFlags(take(f, "flags"))
	if c := take(f, "cluster"); c != "" {
		r.Cluster = b.InternString(c)
	}
	if p := take(f, "peer"); p != "" {
		namespace, service, _ := strings.Cut(p, "/")
		r.Peer.Namespace, r.Peer.Service = b.InternString(namespace), b.InternString(service)
		r.PeerKind = telemetry.NodeService
	}
	if p := take(f, "principal"); p != "" {
		r.Peer.Principal, r.TLS = b.InternString(p), telemetry.TLSMutual
	}
	switch take(f, "tls") {
	case "none":
		r.TLS = telemetry.TLSNone
	case "mtls":
		r.TLS = telemetry.TLSMutual
	}
	for k := range f {
		t.Fatalf("unknown field %s", k)
	}
	r.Outcome = telemetry.OutcomeOf(r.Protocol, r.Code, r.Response)
	b.Requests = append(b.Requests, r)
}
