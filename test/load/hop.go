package load

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// SendHop sends both ends' spans of one request between two services, to an OTLP gRPC address.
func SendHop(ctx context.Context, addr, from, to string) error {
	cc, err := dial(addr)
	if err != nil {
		return err
	}
	defer func() { _ = cc.Close() }()
	var frame, reply wire.Frame
	defer reply.Free()
	frame.Set(hop(from, to, time.Now()))
	return cc.Invoke(ctx, exportMethod, &frame, &reply)
}

// hop is a request of two milliseconds that ended now.
func hop(from, to string, now time.Time) []byte {
	var req piece
	w := &walker{}
	for i, service := range [...]string{from, to} {
		var rs, resource, scope piece
		span := w.head(uint64(i)+1, uint64(i), "GET /", kindClient-uint64(i), 0, 2_000_000) //nolint:gosec // 0 or 1
		resource.attr(1, "service.name", service)
		scope.nest(2, &span)
		rs.nest(1, &resource)
		rs.nest(2, &scope)
		req.nest(1, &rs)
	}
	run := maphash.String(maphash.MakeSeed(), from) // no two have the same trace
	return req.fill(run, 0, now.Add(-2*time.Millisecond).UnixNano())
}
