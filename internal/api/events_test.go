package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An eventful graph is one in which something happens.
type eventful struct {
	*liveGraph
	mu   sync.Mutex
	list []telemetry.GraphEvent
}

func (e *eventful) happen(x telemetry.GraphEvent) {
	e.mu.Lock()
	e.list = append(e.list, x)
	e.mu.Unlock()
	e.liveGraph.mu.Lock()
	defer e.liveGraph.mu.Unlock()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *eventful) Events(time.Time, time.Time) telemetry.GraphEvents {
	e.mu.Lock()
	defer e.mu.Unlock()
	return telemetry.GraphEvents{List: append([]telemetry.GraphEvent(nil), e.list...), Since: 5e6}
}

func (e *eventful) News(after uint64) ([]telemetry.GraphEvent, uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := uint64(len(e.list))
	return append([]telemetry.GraphEvent(nil), e.list[min(after, n):]...), n
}

// What happens is told on the stream as it happens, folded or not, once, though the graph is the same; what happened before is not.
func TestStreamTellsWhatHappens(t *testing.T) {
	for _, fold := range []string{"", "?fold=auto"} {
		t.Run("with"+fold, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := apitest.ShopGraph(1, 2)
				for i := range 400 { // large enough to be folded
					g.Nodes = append(g.Nodes, telemetry.GraphNode{ID: "x/" + strings.Repeat("y", i+1), Namespace: "x", Windows: map[string]telemetry.Signals{}})
				}
				live := &eventful{liveGraph: newLiveGraph(g)}
				live.happen(telemetry.GraphEvent{Kind: telemetry.EventVersion, At: 7e6, Service: "shop/old", Version: "v0"})
				w := newWorld(t, func(p *plan) { p.query = query.New(&memoryStore{}, live, &pastGraph{}, query.DefaultLimits()) })
				ctx, cancel := context.WithCancel(t.Context())
				l := &listener{header: http.Header{}, done: make(chan struct{})}
				r := httptest.NewRequest(http.MethodGet, "/api/v1/graph/stream"+fold, nil).WithContext(ctx)
				r.Host = "localhost"
				go func() {
					defer close(l.done)
					w.api.ServeHTTP(l, r)
				}()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if s := l.take(); !strings.Contains(s, "event: snapshot") || strings.Contains(s, "event: events") {
					t.Errorf("the stream begins with %.200q", s)
				}
				live.happen(telemetry.GraphEvent{Kind: telemetry.EventOutside, At: 8e6, Service: "shop/cart", Nodes: []string{"shop/cart", "external:bank"}, Says: "it calls"})
				time.Sleep(5 * time.Second)
				synctest.Wait()
				var told struct {
					Events []struct {
						ID, Kind, Service, Says string
						Time                    int64
						Nodes                   []string
					}
				}
				_, data, ok := strings.Cut(l.take(), "event: events\ndata: ")
				data, rest, _ := strings.Cut(data, "\n")
				if err := json.Unmarshal([]byte(data), &told); !ok || err != nil || len(told.Events) != 1 || strings.Contains(rest, "event: events") {
					t.Fatalf("told is %q, then %q: %v", data, rest, err)
				}
				if e := told.Events[0]; e.Kind != "outside" || e.Time != 8 || len(e.ID) != 16 || e.Service != "shop/cart" || len(e.Nodes) != 2 || e.Says != "it calls" {
					t.Errorf("told is %+v", e)
				}
				cancel()
				<-l.done
				w.ours.Close()
			})
		})
	}
}
