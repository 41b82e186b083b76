package block

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// mesh makes traces of a shop of 40 services: about nine spans a trace, about twelve
// attributes a span, some of which hardly repeat.
type mesh struct {
	r        *rand.Rand
	services []meshService
	clock    int64 // Unix nanoseconds
	position telemetry.Position
	batch    *telemetry.Batch
	res      map[[2]int]uint32
	record   []byte
}

type meshService struct {
	name  string
	calls []meshCall
	db    string
}

type meshCall struct {
	to   int
	grpc bool
}

const (
	meshServices = 40
	meshOps      = 12
	meshPods     = 3
)

func newMesh(seed uint64) *mesh {
	m := &mesh{r: rand.New(rand.NewPCG(seed, 42)), clock: 1_795_000_000_000_000_000, batch: telemetry.NewBatch()}
	words := []string{"front", "basket", "pay", "stock", "mail", "rate", "ship", "user", "find", "price"}
	for i := range meshServices {
		s := meshService{name: fmt.Sprintf("%s-%c", words[i%10], 'a'+i/10)}
		if layer := i / 8; layer < 4 {
			for range 3 {
				s.calls = append(s.calls, meshCall{8*(layer+1) + m.r.IntN(8), m.r.IntN(10) < 6})
			}
		}
		if i >= 16 && i%2 == 0 {
			s.db = []string{"postgresql", "redis", "mysql"}[m.r.IntN(3)]
		}
		m.services = append(m.services, s)
	}
	return m
}

// entry is the next entry of the log, of at least n spans. It is valid until the next
// call.
func (m *mesh) entry(n int) telemetry.Entry {
	m.clock += int64(n) * 25_000 // 40,000 spans a second
	m.batch.Reset()
	m.batch.Received = m.clock
	m.res = map[[2]int]uint32{}
	for len(m.batch.Spans) < n {
		var id telemetry.TraceID
		binary.BigEndian.PutUint64(id[:], m.r.Uint64())
		binary.BigEndian.PutUint64(id[8:], m.r.Uint64())
		m.server(id, m.r.IntN(8), telemetry.SpanID{}, m.clock+int64(m.r.IntN(50_000_000)), 0, m.r.IntN(meshOps), false)
	}
	for i := range m.batch.Spans {
		m.batch.FinishSpan(i)
	}
	m.position++
	m.record = m.batch.AppendRecord(m.record[:0])
	return telemetry.Entry{Position: m.position, Batch: m.batch, Record: m.record}
}

func (m *mesh) id() (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], m.r.Uint64()|1)
	return id
}

func (m *mesh) str(k, v string) {
	b := m.batch
	b.Attrs = append(b.Attrs, telemetry.Attr{Key: b.InternString(k), Value: uint64(b.InternString(v))})
}

func (m *mesh) int(k string, v int) {
	m.batch.Attrs = append(m.batch.Attrs, telemetry.Attr{Key: m.batch.InternString(k), Type: telemetry.AttrInt, Value: uint64(v)})
}

func (m *mesh) resource(svc, pod int) uint32 {
	if r, ok := m.res[[2]int{svc, pod}]; ok {
		return r
	}
	b := m.batch
	name := m.services[svc].name
	inst := fmt.Sprintf("%s-5c9d7-%04x%d", name, svc*7919, pod)
	at := uint32(len(b.Attrs))
	for _, kv := range [][2]string{
		{"service.name", name},
		{"service.namespace", "shop"},
		{"service.version", "2.3.1"},
		{"service.instance.id", inst},
		{"deployment.environment.name", "prod"},
		{"k8s.cluster.name", "north-1"},
		{"k8s.namespace.name", "shop"},
		{"k8s.deployment.name", name},
		{"k8s.pod.name", inst},
		{"k8s.node.name", fmt.Sprintf("node-%d-%d.north.internal", pod, svc)},
		{"host.name", inst},
		{"telemetry.sdk.name", "opentelemetry"},
		{"telemetry.sdk.language", "go"},
		{"telemetry.sdk.version", "1.38.0"},
	} {
		m.str(kv[0], kv[1])
	}
	b.Resources = append(b.Resources, telemetry.Resource{
		Identity: telemetry.Identity{
			Cluster: b.InternString("north-1"), Namespace: b.InternString("shop"), Workload: b.InternString(name), Service: b.InternString(name),
			Version: b.InternString("2.3.1"), Instance: b.InternString(inst),
		},
		Attrs: telemetry.Range{Start: at, Len: uint32(len(b.Attrs)) - at},
	})
	m.res[[2]int{svc, pod}] = uint32(len(b.Resources) - 1)
	return uint32(len(b.Resources) - 1)
}

func (m *mesh) span(trace telemetry.TraceID, id, parent telemetry.SpanID, res uint32, name string, kind telemetry.SpanKind, start, dur int64, failed bool, attrs int) {
	b := m.batch
	s := telemetry.Span{
		TraceID: trace, SpanID: id, ParentID: parent, Start: start, Duration: dur, Name: b.InternString(name), Resource: res, Kind: kind,
		ScopeName: b.InternString("shop.example/instrumentation"), ScopeVersion: b.InternString("0.63.0"), Flags: 0x101,
		Attrs: telemetry.Range{Start: uint32(attrs), Len: uint32(len(b.Attrs) - attrs)},
	}
	if failed {
		s.Status, s.StatusMessage = telemetry.StatusError, b.InternString("upstream failed")
	}
	b.Spans = append(b.Spans, s)
}

// server adds the span of a service that serves a call, and all below.
func (m *mesh) server(trace telemetry.TraceID, svc int, parent telemetry.SpanID, start int64, depth, op int, grpc bool) (int64, bool) {
	s := &m.services[svc]
	id, pod := m.id(), m.r.IntN(meshPods)
	res := m.resource(svc, pod)
	self := int64(200_000 + m.r.IntN(3_000_000))
	at := start + self/2
	failed := m.r.IntN(50) == 0
	if depth < 3 && len(s.calls) > 0 {
		for range 1 + m.r.IntN(4)/3 {
			d, bad := m.client(trace, res, s.calls[m.r.IntN(len(s.calls))], id, at, depth+1)
			at += d + 20_000
			failed = failed || bad && m.r.IntN(2) == 0
		}
	}
	if s.db != "" {
		at += m.database(trace, res, svc, id, at)
	}
	attrs := len(m.batch.Attrs)
	name := m.operation(svc, op, grpc, failed, false)
	m.str("client.address", fmt.Sprintf("10.42.%d.%d", m.r.IntN(32), m.r.IntN(250)))
	if grpc {
		m.int("client.port", 32768+m.r.IntN(28000))
		m.str("network.type", "ipv4")
		m.int("rpc.message.size", m.r.IntN(4000))
	} else {
		m.str("network.peer.address", fmt.Sprintf("10.42.%d.%d", m.r.IntN(32), m.r.IntN(250)))
		m.int("network.peer.port", 32768+m.r.IntN(28000))
		m.str("user_agent.original", []string{"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", "okhttp/4.12.0", "Go-http-client/2.0", "curl/8.5.0"}[m.r.IntN(4)])
		m.int("http.response.body.size", m.r.IntN(20000))
	}
	dur := at - start + self/2
	m.span(trace, id, parent, res, name, telemetry.KindServer, start, dur, failed, attrs)
	return dur, failed
}

// operation adds the attributes that both sides of a call have, and names it.
func (m *mesh) operation(svc, op int, grpc, failed, client bool) string {
	name := m.services[svc].name
	m.str("server.address", name+".shop.svc.cluster.local")
	if grpc {
		code := 0
		if failed {
			code = 13
		}
		m.str("rpc.system", "grpc")
		m.str("rpc.service", "shop."+name+".v1.Service")
		m.str("rpc.method", fmt.Sprintf("Op%d", op))
		m.int("rpc.grpc.status_code", code)
		m.int("server.port", 9090)
		m.str("network.transport", "tcp")
		return fmt.Sprintf("shop.%s.v1.Service/Op%d", name, op)
	}
	verb, code := []string{"GET", "GET", "POST"}[op%3], 200
	if failed {
		code = 500
	}
	route := fmt.Sprintf("/api/v1/%s/op%d/{id}", name, op)
	path := fmt.Sprintf("/api/v1/%s/op%d/%08x", name, op, m.r.Uint32())
	m.str("http.request.method", verb)
	if client {
		m.str("url.full", "http://"+name+".shop.svc.cluster.local:8080"+path)
		m.str("url.template", route)
	} else {
		m.str("url.path", path)
		m.str("url.scheme", "http")
		m.str("http.route", route)
	}
	m.int("http.response.status_code", code)
	m.int("server.port", 8080)
	m.str("network.protocol.version", "1.1")
	return verb + " " + route
}

func (m *mesh) client(trace telemetry.TraceID, res uint32, c meshCall, parent telemetry.SpanID, start int64, depth int) (int64, bool) {
	id, op := m.id(), m.r.IntN(meshOps)
	wire := int64(50_000 + m.r.IntN(300_000))
	d, failed := m.server(trace, c.to, id, start+wire, depth, op, c.grpc)
	attrs := len(m.batch.Attrs)
	name := m.operation(c.to, op, c.grpc, failed, true)
	m.str("network.peer.address", fmt.Sprintf("10.43.%d.%d", c.to, m.r.IntN(3)))
	m.str("peer.service", m.services[c.to].name)
	if !c.grpc {
		m.int("http.request.body.size", m.r.IntN(2000))
		m.str("user_agent.original", "Go-http-client/1.1")
	}
	m.span(trace, id, parent, res, name, telemetry.KindClient, start, d+2*wire, failed, attrs)
	return d + 2*wire, failed
}

func (m *mesh) database(trace telemetry.TraceID, res uint32, svc int, parent telemetry.SpanID, start int64) int64 {
	s := &m.services[svc]
	attrs := len(m.batch.Attrs)
	verb := []string{"SELECT", "INSERT", "UPDATE"}[m.r.IntN(3)]
	m.str("db.system.name", s.db)
	m.str("db.system", s.db)
	m.str("db.namespace", s.name)
	m.str("db.collection.name", s.name)
	m.str("db.operation.name", verb)
	m.str("db.query.text", "SELECT id, sku, quantity, price FROM items WHERE tenant = $1 AND id = $2 LIMIT 50")
	m.str("server.address", s.db+"-0.db.svc.cluster.local")
	m.int("server.port", 5432)
	m.str("network.peer.address", fmt.Sprintf("10.44.0.%d", svc))
	m.int("db.response.returned_rows", m.r.IntN(50))
	m.str("peer.service", s.db)
	dur := int64(100_000 + m.r.IntN(2_000_000))
	m.span(trace, m.id(), parent, res, verb+" "+s.name, telemetry.KindClient, start, dur, m.r.IntN(100) == 0, attrs)
	return dur
}
