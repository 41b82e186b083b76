package collector

import (
	"context"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/peer"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// A Sender is who is at the other end of a connection, and how many bytes of messages the server holds for it: it is the unit of
// fairness, see [Intake.Admit]. Not the address, since all that come through a gateway have the gateway's. It stands in the place of the
// connection's remote address, which gRPC and HTTP hand to the receivers. It is safe for concurrent use.
type Sender struct {
	net.Addr
	held    atomic.Int64 // of messages
	streams atomic.Int64 // of streams that stay
}

// Hold reserves n bytes of an account for the sender, or refuses.
//
// The rule that makes it fair: a sender may hold as much as is free. One alone may hold half of an account, and n that take all they can
// an (n+1)th each, which leaves as much for the next who comes: however many flood, one who sends little finds room, and who
// sends most is refused first. No list of senders is needed, and no look at the others.
//
// A nil sender, one that is not known, may hold what there is.
func (s *Sender) Hold(a *ledger.Account, n int64) bool {
	if s == nil {
		return a.Take(n)
	}
	return hold(&s.held, a, n)
}

// hold is Hold, with what the sender holds of the account.
func hold(held *atomic.Int64, a *ledger.Account, n int64) bool {
	if held.Add(n) > a.Limit()-a.Used() {
		held.Add(-n)
		a.Refuse()
		return false
	}
	if !a.Take(n) {
		held.Add(-n)
		return false
	}
	return true
}

// Release gives back n bytes that Hold reserved.
func (s *Sender) Release(a *ledger.Account, n int64) {
	if s != nil {
		s.held.Add(-n)
	}
	a.Give(n)
}

// Held is how many bytes of messages are held for the sender.
func (s *Sender) Held() int64 { return s.held.Load() }

type senderKey struct{}

// WithSender makes the sender of an HTTP connection and puts it into its context: it is http.Server's ConnContext, which is called once
// for each. With gRPC package frames does it.
func WithSender(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, senderKey{}, &Sender{Addr: c.RemoteAddr()})
}

// SenderOf is who sent the request of a context, nil where that is not known.
func SenderOf(ctx context.Context) *Sender {
	if p, ok := peer.FromContext(ctx); ok {
		if s, ok := p.Addr.(*Sender); ok {
			return s
		}
	}
	s, _ := ctx.Value(senderKey{}).(*Sender)
	return s
}
