package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// EntriesAMessage is what an Envoy's buffer of 16 KiB holds.
const EntriesAMessage = 30

const logStreams = 4

// SendLogs streams rate access-log entries a second, from the proxies at both ends of the same requests, and returns how many it
// sent. Nobody answers an access log, so that it cannot be sent flat out as spans can: on a machine that cannot keep up
// the same number is sent in a longer time.
func SendLogs(ctx context.Context, addr string, rate int, length time.Duration) (sent int, err error) {
	cc, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = cc.Close() }()
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for i := range logStreams {
		wg.Go(func() {
			due := newPace(start, rate, EntriesAMessage, i, logStreams)
			n, e := streamLogs(ctx, cc, i, due, int(length/due.gap))
			mu.Lock()
			sent, err = sent+n, errors.Join(err, e)
			mu.Unlock()
		})
	}
	wg.Wait()
	return sent, err
}

func streamLogs(ctx context.Context, cc *grpc.ClientConn, i int, due *pace, messages int) (sent int, err error) {
	st, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs")
	if err != nil {
		return 0, err
	}
	s, err := newSidecar(i)
	if err != nil {
		return 0, err
	}
	for range messages {
		due.wait()
		var f wire.Frame
		f.Set(s.message())
		if err := st.SendMsg(&f); err != nil {
			return sent, err
		}
		sent += EntriesAMessage
	}
	if err := st.CloseSend(); err != nil {
		return sent, err
	}
	var reply wire.Frame
	defer reply.Free()
	return sent, st.RecvMsg(&reply)
}
