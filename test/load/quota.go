package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

const quotaMethod = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

// Asked is what became of quota questions.
type Asked struct {
	Answered int
	Acks     []time.Duration // sorted; with a rate, from the moment when the question was due
}

// Questions are calls of Envoy's rate limit service in the domain "bench", each with the one descriptor "tenant", of which there
// are so many: a few are asked for often and most seldom.
type Questions struct{ encoded [][]byte }

// NewQuestions encodes a question a tenant.
func NewQuestions(tenants int) *Questions {
	q := &Questions{}
	for i := range max(1, tenants) {
		entry := pb.AppendBytes(pb.AppendBytes(nil, 1, "tenant"), 2, fmt.Sprintf("tenant-%07d", i))
		m := pb.AppendBytes(pb.AppendBytes(nil, 1, "bench"), 2, pb.AppendBytes(nil, 1, entry))
		q.encoded = append(q.encoded, pb.AppendUvarint(m, 3, 1))
	}
	return q
}

// Ask asks rate questions a second, or with rate 0 the next when the last was answered, from 32 askers on 4 connections.
func (q *Questions) Ask(ctx context.Context, addr string, rate int, length time.Duration) (*Asked, error) {
	const connections, underWay = 4, 8
	out := &Asked{}
	var mu sync.Mutex // of out and failed
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for c := range connections {
		cc, err := dial(addr)
		if err != nil {
			return nil, err
		}
		defer func() { _ = cc.Close() }()
		for k := range underWay {
			worker := c*underWay + k
			due := newPace(start, rate, 1, worker, connections*underWay)
			wg.Go(func() {
				acks, err := q.ask(ctx, cc, due, start.Add(length), uint64(worker)) //nolint:gosec // below 32
				mu.Lock()
				defer mu.Unlock()
				out.Acks, failed = append(out.Acks, acks...), errors.Join(failed, err)
			})
		}
	}
	wg.Wait()
	slices.Sort(out.Acks)
	out.Answered = len(out.Acks)
	return out, errors.Join(failed, ctx.Err())
}

func (q *Questions) ask(ctx context.Context, cc *grpc.ClientConn, due *pace, end time.Time, seed uint64) (acks []time.Duration, err error) {
	chance := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // a load's chance
	often := rand.NewZipf(chance, 1.1, 1, uint64(len(q.encoded)-1))
	for ctx.Err() == nil {
		at := due.wait()
		if !at.Before(end) {
			break
		}
		var req, reply wire.Frame
		req.Set(q.encoded[often.Uint64()])
		if err := cc.Invoke(ctx, quotaMethod, &req, &reply); err != nil {
			return acks, err
		}
		acks = append(acks, time.Since(at))
		reply.Free()
	}
	return acks, nil
}
