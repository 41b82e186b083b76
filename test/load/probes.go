package load

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
)

// Probes is how the freshness of a live graph is measured: now and then a hop between two services that nobody
// has seen before.
type Probes struct {
	OTLP, Web string // addresses of the server
	Every     time.Duration
	Number    int
}

// Run sends the probes one after the other and returns how long each took from being sent until its edge was on the
// stream of the live graph, sorted. It fails if one has not come 20 s after the last was sent.
func (p Probes) Run(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{sent: map[string]time.Time{}, told: make(chan struct{}, 1)}
	if err := w.follow(ctx, p.Web); err != nil {
		return nil, err
	}
	for i := range p.Number {
		name := fmt.Sprintf("probe%d", i)
		w.begin(name)
		if err := SendHop(ctx, p.OTLP, name+"a", name+"b"); err != nil {
			return nil, err
		}
		time.Sleep(p.Every + time.Duration(i%7)*time.Millisecond) // not in step with what the server does every so often
	}
	return w.wait(ctx, p.Number)
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
