package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// freshness measures the time from a span sent until its edge is on the stream of the live graph, beside 20,000 spans a second.
func (b *bench) freshness(ctx context.Context, s *subject, _ float64) ([]reading, error) {
	srv, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.clear()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{sent: map[string]time.Time{}, told: make(chan struct{}, 1)}
	if err := w.follow(ctx, srv.web); err != nil {
		return nil, err
	}
	var sent *load.Sent
	var loadErr error
	var wg sync.WaitGroup
	const every = 100 * time.Millisecond
	probes := max(20, int(b.length/every))
	wg.Go(func() {
		sent, loadErr = b.spansOf().Send(ctx, srv.otlp, load.Plan{Rate: 20_000, Length: time.Duration(probes)*every + 2*time.Second})
	})
	time.Sleep(time.Second)
	for i := range probes {
		name := fmt.Sprintf("probe%d", i)
		w.begin(name)
		if err := load.SendHop(ctx, srv.otlp, name+"a", name+"b"); err != nil {
			return nil, err
		}
		time.Sleep(every + time.Duration(i%7)*time.Millisecond) // not in step with what the server does every so often
	}
	wg.Wait()
	if loadErr != nil {
		return nil, loadErr
	}
	took, err := w.wait(ctx, probes)
	if err != nil {
		return nil, err
	}
	return []reading{
		{"span sent to edge on the stream, p50", millis(quantile(took, 0.5)), "ms", fmt.Sprintf("%d probes beside %.0f spans a second%s", probes, float64(sent.Acked)/sent.Took.Seconds(), refused(sent))},
		{"span sent to edge on the stream, p99", millis(quantile(took, 0.99)), "ms", "(limit 1000)"},
	}, nil
}

// A watch looks for edges on the stream.
type watch struct {
	mu   sync.Mutex
	sent map[string]time.Time // probes not seen yet
	took []time.Duration
	told chan struct{} // has an element after something was seen
}

func (w *watch) begin(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[name] = time.Now()
}

// see looks for the probes' edges in an event.
func (w *watch) see(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, at := range w.sent {
		if strings.Contains(event, name+"a>"+name+"b") {
			w.took = append(w.took, time.Since(at))
			delete(w.sent, name)
		}
	}
	select {
	case w.told <- struct{}{}:
	default:
	}
}

// wait waits until all probes were seen.
func (w *watch) wait(ctx context.Context, probes int) ([]time.Duration, error) {
	late := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		took := slices.Clone(w.took)
		w.mu.Unlock()
		if len(took) == probes {
			slices.Sort(took)
			return took, nil
		}
		select {
		case <-w.told:
		case <-late:
			return nil, fmt.Errorf("the edges of %d probes of %d were not on the stream after 20 s", probes-len(took), probes)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// follow reads the graph's stream until ctx ends.
func (w *watch) follow(ctx context.Context, web string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+web+"/api/v1/graph/stream", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // closed by the goroutine that reads it
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.Join(errors.New("stream: "+resp.Status), resp.Body.Close())
	}
	go func() {
		defer func() { _ = resp.Body.Close() }()
		for r := bufio.NewReaderSize(resp.Body, 1<<20); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				w.see(data)
			}
		}
	}()
	return nil
}
