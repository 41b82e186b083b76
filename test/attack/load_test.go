package attack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// TestLoad sends more than the server can take.
func TestLoad(t *testing.T) { runAll(t, loadAttacks()) }

func loadAttacks() []attack {
	return []attack{
		{name: "four times what it can take", do: overload},
		{name: "quota decisions beside a flood", do: quotaBesideFlood},
	}
}

// overload sends from so many senders at once, who do not wait when they are refused, that four times as much is asked for as is taken. The
// honest sender is one of many, and loses nothing. Those who are refused are told when to come back.
func overload(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(sized(15, 60))*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			f := flood{spans: 1 << 40, each: 2000, senders: 16, giveUp: true, span: func(i int) forged {
				return forged{service: fmt.Sprintf("storm-%d-%d", k, i/8%40), trace: newTrace(), id: 1, kind: server, name: fmt.Sprintf("GET /%d", i%20), attrs: []attr{{"http.request.method", "GET"}, {"url.path", fmt.Sprintf("/item/%d", i)}, {"user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}}
			}}
			_ = f.run(ctx, w.otlp, n)
		})
	}
	wg.Wait()
	saw := n.String()
	if dry := n.dry.Load(); dry > 0 {
		return saw, fmt.Errorf("%d refusals did not say when to come back (%w)", dry, n.last)
	}
	return saw, nil
}

// quotaBesideFlood asks for decisions at a steady rate beside spans flat out.
func quotaBesideFlood(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	length := time.Duration(sized(8, 60)) * time.Second
	var wg sync.WaitGroup
	var sent *load.Sent
	var err error
	wg.Go(func() {
		sent, err = load.NewSpans(load.NewShop(40, 80), 1).Send(ctx, w.otlp, load.Plan{Length: length})
	})
	asked, askErr := load.NewQuestions(1000).Ask(ctx, w.rls, 1000, length)
	wg.Wait()
	if err != nil || askErr != nil {
		return "", errors.Join(err, askErr)
	}
	n.acked.Add(int64(sent.Acked))
	n.unknown.Add(int64(sent.Refused))
	at := func(q float64) time.Duration {
		return asked.Acks[int(q*float64(len(asked.Acks)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d decisions beside %.0f spans a second: p50 %v, p99 %v", asked.Answered, float64(sent.Acked)/sent.Took.Seconds(), at(0.5), at(0.99)), nil
}
