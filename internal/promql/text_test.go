package promql

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/storage"
)

func testEngine(t *testing.T, set func(*Config)) *Engine {
	t.Helper()
	cfg := DefaultConfig()
	if set != nil {
		set(&cfg)
	}
	e, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// nothing is a store without series.
func nothing() storage.Queryable {
	return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })
}

// Each question that would cost too much is refused for its reason, before it is parsed or run. Those just within the
// limits are answered.
func TestWhatCostsTooMuch(t *testing.T) {
	t.Parallel()
	nested := func(n int, open, close string) string {
		return strings.Repeat(open, n) + "vector(1)" + strings.Repeat(close, n)
	}
	for name, c := range map[string]struct{ text, reason string }{
		"400 kB of parentheses":       {strings.Repeat("(", 400_000), "length"},
		"brackets within the length":  {nested(30_000, "(", ")"), "depth"},
		"brackets that never close":   {strings.Repeat("(", 60_000), "depth"},
		"braces":                      {strings.Repeat("{", 60_000), "parse"},
		"the depth that is allowed":   {nested(maxDepth-1, "(", ")"), ""},
		"functions":                   {nested(maxDepth, "abs(", ")"), "depth"},
		"a chain":                     {"1" + strings.Repeat("+1", 30_000), "operators"},
		"a chain that is allowed":     {"1" + strings.Repeat("+1", maxOperators), ""},
		"signs":                       {strings.Repeat("-", 30_000) + "1", "operators"},
		"flat brackets":               {"vector(1)" + strings.Repeat(" or vector(1)", 1500), "operators"},
		"brackets in a text":          {`label_replace(vector(1), "a", "` + strings.Repeat("(", 5000) + `", "b", "c")`, ""},
		"brackets in a comment":       {"1 # " + strings.Repeat("(", 5000), ""},
		"a regular expression":        {`up{a=~"(` + strings.Repeat("x{1000}", 60) + `)"}`, "regex"},
		"one of a negation":           {`up{a!~".*(` + strings.Repeat("x{1000}", 60) + `)"}`, "regex"},
		"nested repeats":              {`up{a=~"((x{10}){10}){10}` + strings.Repeat("(y{31}){32}", 40) + `"}`, "regex"},
		"one of label_replace":        {`label_replace(up, "a", "$1", "b", "` + strings.Repeat("x{1000}", 60) + `")`, "regex"},
		"a thousand names":            {`up{a=~"` + strings.Repeat("some-service-of-the-shop|", 1000) + `x"}`, ""},
		"names with a dot":            {`up{a=~"` + strings.Repeat("service.shop|", 1000) + `x"}`, ""},
		"years by the millisecond":    {`max_over_time(nosuch[10y:1ms])`, "steps"},
		"one within another":          {`max_over_time(max_over_time(nosuch[1d:1s])[60d:1m])`, "steps"},
		"a year by the minute":        {`max_over_time(nosuch[1y])`, ""},
		"a subquery that is allowed":  {`max_over_time(nosuch[30d:5m])`, ""},
		"labels that double":          {doubling(25), "labels"},
		"labels that are joined":      {joining(12), "labels"},
		"labels written a few times":  {doubling(4), ""},
		"a text that is not finished": {`up{a="`, "parse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := testEngine(t, nil)
			ctx := context.Background()
			q, err := e.NewInstantQuery(ctx, nothing(), nil, c.text, time.Unix(1e9, 0))
			var refused *RefusedError
			switch {
			case c.reason == "":
				if err != nil {
					t.Fatal(err)
				}
				if res := q.Exec(ctx); res.Err != nil {
					t.Error(res.Err)
				}
				q.Close()
			case c.reason == "parse":
				if err == nil || errors.As(err, &refused) {
					t.Errorf("answered %v", err)
				}
			case !errors.As(err, &refused) || refused.Reason != c.reason:
				t.Errorf("answered %v, want it to be refused for its %s", err, c.reason)
			case testutil.ToFloat64(e.refused.WithLabelValues(c.reason)) != 1:
				t.Error("the refusal is not counted")
			}
		})
	}
}

// doubling writes a label into itself, four times over, n times in a row.
func doubling(n int) string {
	s := "up"
	for range n {
		s = `label_replace(` + s + `, "a", "$1$1$1$1", "a", "(.*)")`
	}
	return s
}

func joining(n int) string {
	s := "up"
	for range n {
		s = `label_join(` + s + `, "a", "", "a", "a", "a", "a")`
	}
	return s
}

// A query's own range counts with that of its subqueries.
func TestStepsOfARange(t *testing.T) {
	t.Parallel()
	e := testEngine(t, nil)
	end := time.Unix(1e9, 0)
	ask := func(back time.Duration) error {
		q, err := e.NewRangeQuery(context.Background(), nothing(), nil, `max_over_time(up[1h:1s])`, end.Add(-back), end, time.Hour)
		if err == nil {
			q.Close()
		}
		return err
	}
	if err := ask(24 * time.Hour); err != nil {
		t.Error(err)
	}
	var refused *RefusedError
	if err := ask(30 * 24 * time.Hour); !errors.As(err, &refused) || refused.Reason != "steps" {
		t.Errorf("answered %v", err)
	}
}

// The selectors of one request count together.
func TestSelectorsCountTogether(t *testing.T) {
	t.Parallel()
	e := testEngine(t, func(c *Config) { c.MaxExpressionBytes = 1000 })
	one := "up{a=\"" + strings.Repeat("x", 300) + "\"}"
	if err := e.CheckSelectors([]string{one, one, one}); err != nil {
		t.Error(err)
	}
	if err := e.CheckSelectors([]string{one, one, one, one}); err == nil {
		t.Error("four that are too long together are taken")
	}
	if err := e.CheckSelectors(make([]string, maxSelectors+1)); err == nil {
		t.Error("too many are taken")
	}
}

// What the limits let through is parsed in a time that grows with them, and not with their square.
func BenchmarkWorstText(b *testing.B) {
	e, err := New(DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	deep := strings.Repeat("(", maxDepth-1) + "up" + strings.Repeat(")", maxDepth-1)
	for name, text := range map[string]string{
		"chain": "up" + strings.Repeat("+up", maxOperators),
		"signs": strings.Repeat("-", maxOperators) + "up",
		"deep":  deep + strings.Repeat("+"+deep, 8),
		"many":  `up{` + strings.Repeat(`a=~"b.*c",`, 900) + `}`,
		"regex": `up{a=~"` + strings.Repeat("x{1000}", 16) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				q, err := e.NewInstantQuery(context.Background(), nothing(), nil, text, time.Unix(1e9, 0))
				if err != nil {
					b.Fatal(err)
				}
				q.Close()
			}
		})
	}
}
