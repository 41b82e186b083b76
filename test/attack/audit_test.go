package attack

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// edgeSeries are the counts of the honest edges, by witness.
const edgeSeries = `sum by (source, destination, destination_kind, side, evidence) (histogram_count(binnacle_edge_duration_seconds{source=~"honest-.*"}))`

// allSpans is how many spans all operations together have seen, those without a series of their own included.
const allSpans = `sum(histogram_count(binnacle_operation_duration_seconds))`

// An audit compares what the server says with what was sent.
type audit struct {
	lost, doubled int // spans
	faults        []string
	missing       int // traces that were acknowledged and are not there, or not whole
}

func (a *audit) fault(format string, args ...any) {
	if len(a.faults) < 12 {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

// audit works out the truth about the honest sender, who has ended, and holds the server to it. An export whose end nobody knows may be there whole or not at
// all; it then counts if it is. others are the attacker's spans, acknowledged and of unknown end. logsMayMiss is for attacks
// in which the process dies: nobody acknowledges a log entry.
func (h *honest) audit(others, unknown int, logsMayMiss bool) *audit {
	a := &audit{}
	there := h.survivors(a)
	want := map[string]int{}
	for _, c := range there {
		from, to := honestServices[c.from], honestServices[c.to]
		want[from+">"+to+" client_span"]++
		want[from+">"+to+" server_span"]++
		want[to+">database:"+honestStore+" client_span"]++
	}
	logs := "hon/" + honestProxy + ">hon/" + honestBehind + " client_log"
	c := h.counts()
	logsMayMiss = logsMayMiss || c.streamsBroken > 0
	if c.entries > 0 && !logsMayMiss {
		want[logs] = c.entries
	}
	without := func(ask func() (map[string]int, error)) func() (map[string]int, error) {
		return func() (map[string]int, error) {
			got, err := ask()
			if logsMayMiss {
				delete(got, logs)
			}
			return got, err
		}
	}
	a.compare("edges of the graph", want, without(h.w.honestEdges))
	a.compare("series of edges", want, without(h.w.honestSeries))
	honestSpans := spansATrace * len(there)
	a.total(h.w, honestSpans+others, unknown)
	for _, why := range slices.Compact(c.wrong) {
		a.fault("%s", why)
	}
	return a
}

// survivors looks up each honest trace and returns the hops of those that are stored.
func (h *honest) survivors(a *audit) (there []hopOf) {
	h.mu.Lock()
	sent := slices.Clone(h.sent)
	h.mu.Unlock()
	whole := make([]int, len(sent))
	var mu sync.Mutex
	var wg sync.WaitGroup
	room := make(chan struct{}, 4)
	for i, s := range sent {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			for _, id := range s.traces {
				n, why := h.w.trace(id)
				for n == 0 && why == "" && s.acked && time.Since(s.at) < 15*time.Second { // the store follows the log
					time.Sleep(100 * time.Millisecond)
					n, why = h.w.trace(id)
				}
				switch {
				case why != "":
					mu.Lock()
					a.fault("%s", why)
					mu.Unlock()
				case n == spansATrace:
					whole[i]++
				}
			}
		})
	}
	wg.Wait()
	for i, s := range sent {
		switch {
		case whole[i] == len(s.traces):
			there = append(there, s.hops...)
		case s.acked:
			a.missing += len(s.traces) - whole[i]
			a.lost += spansATrace * (len(s.traces) - whole[i])
		case whole[i] > 0:
			a.fault("an export that was not acknowledged is there in part")
		}
	}
	if a.missing > 0 {
		a.fault("%d traces were acknowledged and are not there", a.missing)
	}
	return there
}

// trace looks a trace up and returns how many spans it has, or why the answer is wrong.
func (w *world) trace(id [16]byte) (spans int, wrong string) {
	var code int
	var body []byte
	for range 5 {
		if code, body = w.get("/api/v1/traces/"+hex.EncodeToString(id[:]), 20*time.Second); code != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	switch code {
	case http.StatusNotFound:
		return 0, ""
	case http.StatusOK:
		return spansATrace, wrongTrace(body)
	}
	return 0, fmt.Sprintf("trace %x: %d %.200s", id, code, body)
}

// wrongTrace says what is wrong with the answer for an honest trace; "" is nothing.
func wrongTrace(body []byte) string {
	var tr struct {
		Spans []struct {
			Name, Service string
		}
	}
	if err := json.Unmarshal(body, &tr); err != nil {
		return fmt.Sprintf("a trace's answer is not JSON: %v", err)
	}
	var names []string
	for _, s := range tr.Spans {
		names = append(names, s.Name)
		if !strings.HasPrefix(s.Service, "honest-") {
			return "a span of an honest trace is said to be of " + s.Service
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"op1", "op2", "op3"}) {
		return fmt.Sprintf("an honest trace has the spans %v", names)
	}
	return ""
}

// compare asks until the answer is as wanted; halves that have not met are counted late, and series are written now and then.
func (a *audit) compare(what string, want map[string]int, ask func() (map[string]int, error)) {
	var got map[string]int
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if got, err = ask(); err == nil && maps.Equal(got, want) {
			return
		}
	}
	if err != nil {
		a.fault("%s: %v", what, err)
		return
	}
	var less, more int
	example := ""
	for k := range maps.Keys(want) {
		if _, ok := got[k]; !ok {
			got[k] = 0
		}
	}
	for k, n := range got {
		switch d := n - want[k]; {
		case d < 0:
			less -= d
			example = fmt.Sprintf("%s: %d, sent %d", k, n, want[k])
		case d > 0:
			more += d
			example = fmt.Sprintf("%s: %d, sent %d", k, n, want[k])
		}
	}
	a.lost, a.doubled = max(a.lost, less), max(a.doubled, more)
	a.fault("%s: %d too few, %d too many (%s)", what, less, more, example)
}

// total holds the sum over all operations to what all senders together were told OK for.
func (a *audit) total(w *world, acked, unknown int) {
	var got int
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		var by map[string]int
		if by, err = w.series(allSpans, func(map[string]string) string { return "all" }); err != nil {
			continue
		}
		if got = by["all"]; got >= acked && got <= acked+unknown {
			return
		}
	}
	switch {
	case err != nil:
		a.fault("series of all operations: %v", err)
	case got < acked:
		a.lost = max(a.lost, acked-got)
		a.fault("series of all operations: %d spans, %d were acknowledged", got, acked)
	default:
		a.doubled = max(a.doubled, got-acked-unknown)
		a.fault("series of all operations: %d spans, %d were acknowledged and of %d nobody knows", got, acked, unknown)
	}
}

// honestEdges are what the live graph says of the honest services, by edge and witness.
func (w *world) honestEdges() (map[string]int, error) {
	var g struct {
		Edges []struct {
			Source, Target string
			Witnesses      map[string]int
		}
	}
	if err := w.getJSON("/api/v1/graph", &g); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, e := range g.Edges {
		if !strings.HasPrefix(e.Source, "honest-") && !strings.HasPrefix(e.Source, "hon/honest-") {
			continue
		}
		for witness, n := range e.Witnesses {
			if n > 0 {
				got[e.Source+">"+e.Target+" "+witness] = n
			}
		}
	}
	return got, nil
}

func (w *world) honestSeries() (map[string]int, error) {
	return w.series(edgeSeries, func(m map[string]string) string {
		from, to := m["source"], m["destination"]
		switch {
		case m["destination_kind"] != "service":
			to = m["destination_kind"] + ":" + to
		case m["evidence"] == "log":
			from, to = "hon/"+from, "hon/"+to
		}
		return fmt.Sprintf("%s>%s %s_%s", from, to, m["side"], m["evidence"])
	})
}

func (w *world) series(query string, key func(map[string]string) string) (map[string]int, error) {
	var r struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := w.getJSON("/api/v1/query?query="+url.QueryEscape(query), &r); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, v := range r.Data.Result {
		text, _ := v.Value[1].(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: value %v: %w", query, v.Value, err)
		}
		got[key(v.Metric)] += int(n)
	}
	return got, nil
}
