package load

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// A pace says when one of several workers sends next.
type pace struct {
	next time.Time
	gap  time.Duration // 0: at once
}

// newPace shares rate units a second, sent unit by unit of so many, among workers, whose first sends are spread over a gap.
func newPace(start time.Time, rate, unit, worker, workers int) *pace {
	if rate <= 0 {
		return &pace{}
	}
	gap := time.Duration(float64(time.Second) * float64(unit) * float64(workers) / float64(rate))
	return &pace{start.Add(gap * time.Duration(worker) / time.Duration(workers)), gap}
}

// wait waits until the next send is due, and returns when that was: a sender that is late sends at once until it is not.
func (p *pace) wait() time.Time {
	if p.gap == 0 {
		return time.Now()
	}
	due := p.next
	p.next = due.Add(p.gap)
	time.Sleep(time.Until(due))
	return due
}

// dial connects to a server of encoded messages.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})))
}
