package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
)

// A listener is a client of the stream that reads when it is let: what it has
// not read blocks the writer, as a full socket does.
type listener struct {
	header http.Header
	code   int
	gate   chan struct{} // nil: reads at once; otherwise each flush waits for a token
	cancel context.CancelFunc
	done   chan struct{} // closed when the handler has returned

	mu   sync.Mutex
	text strings.Builder
}

func (l *listener) Header() http.Header { return l.header }

func (l *listener) WriteHeader(code int) { l.code = code }

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *listener) Flush() {
	if l.gate != nil {
		<-l.gate
	}
}

// follow opens the stream.
func (w *world) follow(gate chan struct{}) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{header: http.Header{}, gate: gate, cancel: cancel, done: make(chan struct{})}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/graph/stream", nil).WithContext(ctx)
	r.Host = "localhost"
	go func() {
		defer close(l.done)
		w.api.ServeHTTP(l, r)
	}()
	return l
}

// take is what came since the last take.
func (l *listener) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.text.String()
	l.text.Reset()
	return s
}

// A page is what a browser makes of the stream.
type page struct {
	graph     map[string]any // objects by id
	snapshots int
	deltas    int
	comments  int
	version   string // of the last event
}

// read takes events as the HTML standard parses them, and applies them.
func (p *page) read(t tester, text string) {
	t.Helper()
	for event := range strings.SplitSeq(text, "\n\n") {
		field := map[string]string{}
		for line := range strings.SplitSeq(event, "\n") {
			if k, v, ok := strings.Cut(line, ": "); ok {
				field[k] = v
			}
		}
		switch {
		case strings.HasPrefix(event, ":"):
			p.comments++
		case field["event"] == "snapshot":
			p.snapshots++
			p.graph = map[string]any{}
			p.apply(t, field["data"])
			p.version = field["id"]
		case field["event"] == "delta":
			p.deltas++
			p.apply(t, field["data"])
			p.version = field["id"]
		case event != "" && field["retry"] == "":
			t.Fatalf("not an event: %q", event)
		}
	}
}

func (p *page) apply(t tester, data string) {
	t.Helper()
	var d struct {
		Nodes        []map[string]any `json:"nodes"`
		Edges        []map[string]any `json:"edges"`
		RemovedNodes []string         `json:"removed_nodes"`
		RemovedEdges []string         `json:"removed_edges"`
	}
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	for _, o := range append(d.Nodes, d.Edges...) {
		p.graph[o["id"].(string)] = o
	}
	for _, id := range append(d.RemovedNodes, d.RemovedEdges...) {
		delete(p.graph, id)
	}
}

// is says whether the page shows the graph as it is.
func (p *page) is(t tester, w *world) {
	t.Helper()
	want := page{graph: map[string]any{}}
	want.apply(t, w.ask("GET", "/api/v1/graph").Body.String())
	if diff := cmp.Diff(want.graph, p.graph); diff != "" {
		t.Fatalf("the page does not show the graph (-graph +page):\n%s", diff)
	}
}

const (
	deltaInterval = 200 * time.Millisecond // at least between two deltas
	ringSize      = 8                      // deltas that a client may be behind
)

func TestStreamIsASnapshotAndThenDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t))
		l, p := w.follow(nil), page{}
		synctest.Wait()
		p.read(t, l.take())
		p.is(t, w)
		if l.code != http.StatusOK || l.header.Get("Content-Type") != "text/event-stream" || l.header.Get("Cache-Control") != "no-store" {
			t.Errorf("the stream began with %d %v", l.code, l.header)
		}

		// The first change after a rest is told at once.
		w.live.set(apitest.ShopGraph(4712, 13))
		synctest.Wait()
		p.read(t, l.take())
		p.is(t, w)
		if p.snapshots != 1 || p.deltas != 1 || p.version != "4712" {
			t.Fatalf("after one change: %+v", p)
		}

		// A burst is told together, and not later than the contract says.
		for i := range 20 {
			w.live.set(apitest.ShopGraph(uint64(4713+i), float64(i)))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(250*time.Millisecond - 10*time.Millisecond)
		synctest.Wait()
		p.read(t, l.take())
		p.is(t, w)
		if p.deltas > 3 {
			t.Errorf("20 changes within 200 ms were told in %d deltas", p.deltas-1)
		}

		// A graph that is new and the same is not told.
		deltas := p.deltas
		same := *w.live.Snapshot()
		same.Version++
		w.live.set(&same)
		time.Sleep(time.Second)
		synctest.Wait()
		if p.read(t, l.take()); p.deltas != deltas {
			t.Error("a delta came though nothing had changed")
		}

		// What is removed goes.
		g := apitest.ShopGraph(5000, 1)
		g.Edges, g.Nodes = g.Edges[1:], g.Nodes[1:]
		w.live.set(g)
		synctest.Wait()
		p.read(t, l.take())
		p.is(t, w)

		// Silence is kept alive.
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if p.read(t, l.take()); p.comments != 2 {
			t.Errorf("%d comments came in 31 s of silence, want one each 15 s", p.comments)
		}

		w.ours.Close()
		<-l.done
	})
}

// TestSlowReaderIsBroughtUpToDate holds one reader back: it must cost the other
// nothing, be sent a snapshot for what it missed, and be right again.
func TestSlowReaderIsBroughtUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t))
		gate := make(chan struct{})
		slow, fast := w.follow(gate), w.follow(nil)
		gate <- struct{}{} // retry
		gate <- struct{}{} // snapshot
		synctest.Wait()    // the fast one has its snapshot as well
		const changes = 3 * ringSize
		for i := range changes {
			w.live.set(apitest.ShopGraph(uint64(5000+i), float64(i)))
			time.Sleep(deltaInterval)
		}
		synctest.Wait()
		var pf, ps page
		pf.read(t, fast.take())
		pf.is(t, w)
		if pf.snapshots != 1 || pf.deltas != changes {
			t.Errorf("beside a slow reader a fast one had %d snapshots and %d deltas, want 1 and %d", pf.snapshots, pf.deltas, changes)
		}
		if n := w.counter(t, "binnacle_api_stream_deltas_total"); n != changes {
			t.Errorf("%v deltas were encoded for two readers, want %d", n, changes)
		}
		close(gate)
		synctest.Wait()
		ps.read(t, slow.take())
		ps.is(t, w)
		if ps.snapshots != 2 || ps.deltas > ringSize {
			t.Errorf("the slow reader had %d snapshots and %d deltas, want a second snapshot for what it missed", ps.snapshots, ps.deltas)
		}
		if n := w.counter(t, "binnacle_api_stream_snapshots_total", "reason", "slow"); n != 1 {
			t.Errorf("%v snapshots were counted as sent to the slow, want 1", n)
		}
		slow.cancel()
		fast.cancel()
		<-slow.done
		<-fast.done
		if n := w.counter(t, "binnacle_api_streams"); n != 0 {
			t.Errorf("%v streams are counted after all have left", n)
		}
	})
}

// TestEveryReaderEndsUpRight lets readers of any speed come and go while the
// graph changes in any way: whoever is there at the end and has read all shows the graph.
func TestEveryReaderEndsUpRight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 60).Draw(rt, "steps")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 400), len(steps), len(steps)).Draw(rt, "pauses")
		synctest.Test(t, func(t *testing.T) {
			w := shop(newWorld(t))
			version := uint64(5000)
			readers := map[*listener]bool{}
			join := func(slow bool) {
				var gate chan struct{}
				if slow {
					gate = make(chan struct{}, 1000)
				}
				readers[w.follow(gate)] = true
			}
			join(false)
			join(true)
			for i, step := range steps {
				switch step {
				case 0:
					join(i%2 == 0)
				case 1:
					for l := range readers {
						l.cancel()
						if l.gate != nil {
							close(l.gate)
						}
						<-l.done
						delete(readers, l)
						break
					}
				case 2:
					for l := range readers {
						if l.gate != nil {
							l.gate <- struct{}{}
						}
					}
				default:
					version++
					g := apitest.ShopGraph(version, float64(step))
					g.Edges = g.Edges[int(version)%len(g.Edges):]
					w.live.set(g)
				}
				time.Sleep(time.Duration(pauses[i]) * time.Millisecond)
			}
			for l := range readers {
				if l.gate != nil {
					close(l.gate)
				}
			}
			time.Sleep(time.Second)
			synctest.Wait()
			for l := range maps.Keys(readers) {
				p := page{}
				p.read(t, l.take())
				p.is(t, w)
			}
			w.ours.Close()
			for l := range readers {
				<-l.done
			}
		})
	})
}

// TestStreamOutlivesAPanicOfTheGraph: the graph's owner panics for a while.
func TestStreamOutlivesAPanicOfTheGraph(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t))
		w.live.panics = true
		if rec := w.ask("GET", "/api/v1/graph/stream"); rec.Code != http.StatusInternalServerError {
			t.Errorf("a stream of a graph that panics was answered %d", rec.Code)
		}
		w.live.panics = false
		l := w.follow(nil)
		synctest.Wait()
		set := func(panics bool, g *telemetry.Graph) {
			w.live.mu.Lock()
			w.live.panics = panics
			w.live.mu.Unlock()
			w.live.set(g)
			synctest.Wait()
		}
		set(true, apitest.ShopGraph(5000, 1))
		set(false, apitest.ShopGraph(5001, 2))
		time.Sleep(time.Second)
		synctest.Wait()
		p := page{}
		p.read(t, l.take())
		p.is(t, w)
		if n, m := w.counter(t, "binnacle_api_panics_total"), w.counter(t, "binnacle_api_stream_panics_total"); n != 1 || m != 1 {
			t.Errorf("%v panics of requests and %v of deltas are counted, want 1 and 1", n, m)
		}
		if !strings.Contains(w.log.String(), "the graph's owner has a bug") {
			t.Errorf("the log does not say what happened: %s", w.log)
		}
		l.cancel()
		<-l.done
	})
}

// TestStreamOverHTTP is the stream over real connections, one of which never
// reads: the server's shutdown ends all, and TestMain finds nothing left behind.
func TestStreamOverHTTP(t *testing.T) {
	w := shop(newWorld(t))
	srv := httptest.NewUnstartedServer(w.api)
	srv.Config.RegisterOnShutdown(w.ours.Close)
	srv.Start()
	client := &http.Client{Transport: &http.Transport{}}
	open := func() *http.Response {
		resp, err := client.Get(srv.URL + "/api/v1/graph/stream")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		return resp
	}
	reading, stalled := open(), open()
	ctx, cancel := context.WithCancel(context.Background())
	changing := make(chan struct{})
	go func() {
		defer close(changing)
		for i := uint64(0); ctx.Err() == nil; i++ {
			w.live.set(apitest.ShopGraph(6000+i, float64(i)))
			time.Sleep(5 * time.Millisecond)
		}
	}()
	events := bufio.NewScanner(reading.Body)
	deltas := 0
	for deltas < 3 && events.Scan() {
		if events.Text() == "event: delta" {
			deltas++
		}
	}
	if deltas < 3 {
		t.Errorf("only %d deltas came: %v", deltas, events.Err())
	}
	if err := srv.Config.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	cancel()
	<-changing
	if _, err := io.Copy(io.Discard, reading.Body); err != nil {
		t.Errorf("the stream did not end as a whole answer: %v", err)
	}
	reading.Body.Close()
	stalled.Body.Close()
	client.CloseIdleConnections()
	srv.Close()
}
