package load

import (
	"fmt"
	"math/rand/v2"
)

// Fields of trace.proto's Span and its kinds.
const (
	spanAttributes         = 9
	kindServer, kindClient = uint64(2), uint64(3)
	longestTrace           = 12  // spans
	farthestCall           = 3   // hops behind the entry
	sampledFlags           = 257 // W3C sampled, and "parent is remote" is known to be false
	remoteFlags            = 769 // the same, and it is true
)

// A walker writes the spans of a trace as it goes through the shop.
type walker struct {
	shop   *Shop
	chance *rand.Rand
	trace  uint64 // its number within the request
	spans  []placed
	room   int
}

// placed is a span and the instance that reports it.
type placed struct {
	service, instance int
	span              piece
}

// walk writes one trace of at most room spans.
func (w *walker) walk(room int) {
	w.spans, w.room = w.spans[:0], min(room, longestTrace)
	entry := w.chance.IntN(w.shop.entries)
	w.serve(entry, 0, nil, w.chance.IntN(operations), w.upTo(40_000_000), 0)
	w.trace++
}

func (w *walker) upTo(n int) uint64 { return uint64(w.chance.IntN(n)) } //nolint:gosec // not negative

// begin keeps a place for a span, in the order in which spans begin.
func (w *walker) begin(service, instance int) (at int, id uint64) {
	w.spans = append(w.spans, placed{service: service, instance: instance})
	return len(w.spans) - 1, w.chance.Uint64() | 1
}

// head writes the fields that every span has.
func (w *walker) head(id, parent uint64, name string, kind, start, took uint64) (p piece) {
	p.marked(1, "0123456789abcdef", 16, traceID, w.trace)
	p.marked(2, "01234567", 8, spanID, id)
	if parent != 0 {
		p.marked(4, "01234567", 8, spanID, parent)
	}
	p.text(5, name)
	p.uint(6, kind)
	p.clock(7, start)
	p.clock(8, start+took)
	return p
}

// An operation as both ends name it.
type operation struct {
	name, method, route, path, system string
	rpc                               bool
	status                            uint64
}

func operationOf(to string, n int, rpc, failed bool) operation {
	if rpc {
		o := operation{name: fmt.Sprintf("market.%s.Counter/Call%d", to, n), method: fmt.Sprintf("Call%d", n), system: "market." + to + ".Counter", rpc: true}
		if failed {
			o.status = 13 // INTERNAL
		}
		return o
	}
	verb := "GET"
	if n%3 == 2 {
		verb = "POST"
	}
	route := fmt.Sprintf("/v2/%s/goods%d/{item}", to, n)
	o := operation{name: verb + " " + route, method: verb, route: route, path: fmt.Sprintf("/v2/%s/goods%d/", to, n), status: 200}
	if failed {
		o.status = 500
	}
	return o
}

// serve writes the server's span of a call and what it calls in turn. by is nil for a call from outside.
func (w *walker) serve(to int, parent uint64, by *call, op int, start uint64, depth int) (took uint64, failed bool) {
	s := &w.shop.services[to]
	instance := w.chance.IntN(instances)
	at, id := w.begin(to, instance)
	own := 200_000 + w.upTo(3_000_000)
	now := start + own/2
	if depth < farthestCall && len(s.calls) > 0 {
		for range 1 + w.chance.IntN(2)/(1+depth) {
			if len(w.spans)+1 >= w.room {
				break // a call is two spans
			}
			d, bad := w.call(to, instance, id, now, depth)
			now += d + 20_000
			failed = failed || bad && w.chance.IntN(2) == 0
		}
	}
	if s.database != "" && len(w.spans) < w.room {
		now += w.query(to, instance, id, now)
	}
	took = now - start + own/2
	failed = failed || w.chance.IntN(50) == 0
	o := operationOf(s.name, op, by != nil && by.rpc, failed)
	p := w.head(id, parent, o.name, kindServer, start, took)
	w.describe(&p, &o, s.name)
	p.attr(spanAttributes, "client.address", w.address(42))
	p.attrInt(spanAttributes, "client.port", 32_768+w.upTo(28_000))
	if !o.rpc {
		p.attrDigits(spanAttributes, "url.path", o.path, id)
		p.attr(spanAttributes, "url.scheme", "http")
		p.attr(spanAttributes, "network.peer.address", w.address(42))
		p.attr(spanAttributes, "user_agent.original", [...]string{
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
			"okhttp/5.1.0", "Go-http-client/2.0",
		}[w.chance.IntN(4)])
		p.attrInt(spanAttributes, "http.response.body.size", w.upTo(20_000))
	}
	w.end(&p, failed, parent != 0)
	w.spans[at].span = p
	return took, failed
}

// call writes the caller's span of one of a service's calls, and the callee's below it.
func (w *walker) call(from, instance int, parent, start uint64, depth int) (took uint64, failed bool) {
	c := &w.shop.services[from].calls[w.chance.IntN(len(w.shop.services[from].calls))]
	at, id := w.begin(from, instance)
	way, op := 50_000+w.upTo(300_000), w.chance.IntN(operations)
	inside, failed := w.serve(c.to, id, c, op, start+way, depth+1)
	took = inside + 2*way
	to := w.shop.services[c.to].name
	o := operationOf(to, op, c.rpc, failed)
	p := w.head(id, parent, o.name, kindClient, start, took)
	w.describe(&p, &o, to)
	p.attr(spanAttributes, "network.peer.address", fmt.Sprintf("10.43.%d.%d", c.to, 1+w.chance.IntN(instances)))
	p.attrInt(spanAttributes, "network.peer.port", 8080)
	p.attr(spanAttributes, "peer.service", to)
	if !o.rpc {
		p.attrDigits(spanAttributes, "url.full", "http://"+to+".market.svc.cluster.local:8080"+o.path, id)
		p.attr(spanAttributes, "url.template", o.route)
		p.attr(spanAttributes, "user_agent.original", "Go-http-client/1.1")
		p.attrInt(spanAttributes, "http.request.body.size", w.upTo(2_000))
	}
	w.end(&p, failed, false)
	w.spans[at].span = p
	return took, failed
}

// describe writes what both ends say of an operation, after OpenTelemetry's conventions for HTTP and RPC.
func (w *walker) describe(p *piece, o *operation, to string) {
	if o.rpc {
		p.attr(spanAttributes, "rpc.system", "grpc")
		p.attr(spanAttributes, "rpc.service", o.system)
		p.attr(spanAttributes, "rpc.method", o.method)
		p.attrInt(spanAttributes, "rpc.grpc.status_code", o.status)
		p.attr(spanAttributes, "network.transport", "tcp")
		p.attr(spanAttributes, "network.type", "ipv4")
		p.attrInt(spanAttributes, "rpc.message.size", w.upTo(4_000))
	} else {
		p.attr(spanAttributes, "http.request.method", o.method)
		p.attr(spanAttributes, "http.route", o.route)
		p.attrInt(spanAttributes, "http.response.status_code", o.status)
		p.attr(spanAttributes, "network.protocol.version", "1.1")
	}
	p.attr(spanAttributes, "server.address", to+".market.svc.cluster.local")
	p.attrInt(spanAttributes, "server.port", 8080)
}

// query writes the span of a question to a service's database, which itself says nothing.
func (w *walker) query(from, instance int, parent, start uint64) (took uint64) {
	system := w.shop.services[from].database
	at, id := w.begin(from, instance)
	took = 100_000 + w.upTo(2_000_000)
	verb := [...]string{"SELECT", "INSERT", "UPDATE"}[w.chance.IntN(3)]
	p := w.head(id, parent, verb+" goods", kindClient, start, took)
	p.attr(spanAttributes, "db.system.name", system)
	p.attr(spanAttributes, "db.namespace", "market")
	p.attr(spanAttributes, "db.collection.name", "goods")
	p.attr(spanAttributes, "db.operation.name", verb)
	p.attr(spanAttributes, "db.query.text", "SELECT item, weight, price, seller FROM goods WHERE seller = $1 AND item > $2 ORDER BY item LIMIT 100")
	p.attr(spanAttributes, "server.address", system+"-0.data.svc.cluster.local")
	p.attrInt(spanAttributes, "server.port", 5432)
	p.attr(spanAttributes, "network.peer.address", w.address(44))
	p.attrInt(spanAttributes, "network.peer.port", 5432)
	p.attrInt(spanAttributes, "db.response.returned_rows", w.upTo(100))
	w.end(&p, w.chance.IntN(100) == 0, false)
	w.spans[at].span = p
	return took
}

// end writes a span's status and flags.
func (w *walker) end(p *piece, failed, remote bool) {
	if failed {
		var status piece
		status.text(2, "the other end failed")
		status.uint(3, 2)
		p.nest(15, &status)
	}
	flags := uint32(sampledFlags)
	if remote {
		flags = remoteFlags
	}
	p.fixed32(16, flags)
}

func (w *walker) address(net int) string {
	return fmt.Sprintf("10.%d.%d.%d", net, w.chance.IntN(32), 1+w.chance.IntN(250))
}
