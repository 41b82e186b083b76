package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestQueries asks what costs most.
func TestQueries(t *testing.T) { runAll(t, queryAttacks()) }

func queryAttacks() []attack {
	return []attack{
		{name: "a query for every series there is", do: everySeries},
		{name: "400 kB of parentheses", do: parentheses},
		{name: "24 heavy searches at once", do: heavySearches},
		{name: "subqueries and joins that explode", do: explodingQueries},
	}
}

// manySeries fills the table of series with long names.
func manySeries(ctx context.Context, w *world, n *tally) error {
	long := strings.Repeat("n", sized(1_000, 4_000))
	f := flood{spans: sized(25_000, 60_000), each: 250, span: func(i int) forged {
		return forged{service: fmt.Sprintf("many-%d-%s", i/50, long), trace: newTrace(), id: 1, kind: server, name: fmt.Sprintf("GET /%d/%s", i, long)}
	}}
	if err := f.run(ctx, w.otlp, n); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // series are written every second
	return nil
}

// An asker asks the web port and counts what comes of it.
type asker struct {
	w       *world
	mu      sync.Mutex
	codes   map[int]int
	longest time.Duration
	largest int64
	example string
}

func (a *asker) ask(ctx context.Context, path string, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	began := time.Now()
	code, size, said := 0, int64(0), ""
	if req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.w.web+path, nil); err == nil {
		req.Header.Set("Accept-Encoding", "identity")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			head, _ := io.ReadAll(io.LimitReader(resp.Body, 160))
			size, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			size += int64(len(head))
			if code = resp.StatusCode; code != http.StatusOK {
				said = string(head)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.codes == nil {
		a.codes = map[int]int{}
	}
	a.codes[code]++
	a.longest, a.largest = max(a.longest, time.Since(began)), max(a.largest, size)
	if said != "" {
		a.example = said
	}
}

func (a *asker) String() string {
	return fmt.Sprintf("answers %v (0: none), the longest in %.1f s, the largest of %d MB; %s", a.codes, a.longest.Seconds(), a.largest/1e6, strings.Join(strings.Fields(a.example), " "))
}

func everySeries(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	if err := manySeries(ctx, w, n); err != nil {
		return "", err
	}
	a := asker{w: w}
	for range 2 {
		a.ask(ctx, "/api/v1/query?query="+url.QueryEscape(`{__name__=~".+"}`), time.Minute)
	}
	for _, path := range []string{
		"/api/v1/series?match[]=" + url.QueryEscape(`{__name__=~".+"}`),
		"/api/v1/labels", "/api/v1/label/operation/values",
		"/api/v1/query_range?step=15&start=" + strconv.FormatInt(time.Now().Unix()-600, 10) + "&end=" + strconv.FormatInt(time.Now().Unix(), 10) + "&query=" + url.QueryEscape(`{__name__=~".+"}`),
		"/api/v1/services", "/api/services",
	} {
		a.ask(ctx, path, time.Minute)
	}
	return a.String(), nil
}

// parentheses asks a long question and leaves. What was begun for it has ended soon after.
func parentheses(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	deep := strings.Repeat("(", 200_000) + "1" + strings.Repeat(")", 200_000)
	var wg sync.WaitGroup
	began := time.Now()
	var answered atomic.Int64
	for range 8 {
		wg.Go(func() {
			c, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(c, http.MethodPost, "http://"+w.web+"/api/v1/query", strings.NewReader("query="+url.QueryEscape(deep)))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	left := time.Since(began)
	time.Sleep(2 * time.Second)
	before := w.cpu()
	time.Sleep(2 * time.Second)
	busy := (w.cpu() - before).Seconds() / 2
	saw := fmt.Sprintf("%d of 8 answered; the clients left after %.1f s; 2 s later the server used %.2f of a core", answered.Load(), left.Seconds(), busy)
	if busy > 0.6 {
		return saw, fmt.Errorf("the server still computes for clients that have left: %.2f of a core", busy)
	}
	return saw, nil
}

func heavySearches(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	spans := flood{spans: sized(200_000, 1_000_000), each: 1000, span: func(i int) forged {
		return forged{service: fmt.Sprintf("stall-%d", i%40), trace: newTrace(), id: 1, kind: server, name: fmt.Sprintf("GET /%d", i%9), attrs: []attr{{"item", strconv.Itoa(i)}, {"user", fmt.Sprintf("u%d", i%5000)}}}
	}}
	if err := spans.run(ctx, w.otlp, n); err != nil {
		return "", err
	}
	a := &asker{w: w}
	range7d := fmt.Sprintf("&from=%d&to=%d", time.Now().Add(-7*24*time.Hour).UnixMilli(), time.Now().Add(time.Hour).UnixMilli())
	until := time.Now().Add(time.Duration(sized(8, 30)) * time.Second)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for k := 0; time.Now().Before(until); k++ {
				a.ask(ctx, []string{
					"/api/v1/traces?limit=1500&attribute=item%3Dnone" + range7d,
					"/api/v1/traces?limit=1500&min_duration=1ms" + range7d,
					"/api/traces?limit=1500&lookback=48h&tags=" + url.QueryEscape(`{"user":"nobody"}`),
					"/api/v1/traces?limit=1500&service=stall-3&operation=" + url.QueryEscape("GET /3"),
				}[(i+k)%4], 40*time.Second)
			}
		})
	}
	wg.Wait()
	return a.String(), nil
}

func explodingQueries(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	if err := manySeries(ctx, w, n); err != nil {
		return "", err
	}
	a := &asker{w: w}
	queries := []string{
		`max_over_time(sum(rate(traces_spanmetrics_calls_total[1m]))[365d:1s])`,
		`max_over_time(max_over_time(max_over_time(up[1h:1s])[1h:1s])[1h:1s])`,
		`label_replace({__name__=~".+"}, "x", "$1$1$1$1$1$1$1$1", "operation", "(.*)")`,
		`{__name__=~".+"} * on() group_left() {__name__=~".+"}`,
		`binnacle_operation_duration_seconds * on(service) group_left(operation) binnacle_operation_duration_seconds`,
		`count_values("v", {__name__=~".+_bucket"})`,
		`sort(quantile_over_time(0.5, {__name__=~".+"}[30d]))`,
		`{__name__=~".+"} or {__name__=~".+"} or {__name__=~".+"} or {__name__=~".+"}`,
		`sum by (service, operation, le) (rate({__name__=~".+_bucket"}[5m]))`,
		`absent(` + strings.Repeat(`vector(1) + `, 30_000) + `vector(1))`,
		`{service=~"` + strings.Repeat(`(a|b|c)*`, 2_000) + `"}`,
	}
	var wg sync.WaitGroup
	now := time.Now().Unix()
	for i := range 16 {
		wg.Go(func() {
			for k := range sized(2, 12) {
				q := url.QueryEscape(queries[(i+k*5)%len(queries)])
				if len(q) > 20_000 || k%2 == 0 {
					a.ask(ctx, "/api/v1/query?query="+q, 45*time.Second)
				} else {
					a.ask(ctx, fmt.Sprintf("/api/v1/query_range?start=%d&end=%d&step=1&query=%s", now-10_000, now, q), 45*time.Second)
				}
			}
		})
	}
	wg.Wait()
	return a.String(), nil
}
