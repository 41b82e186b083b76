package quota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// remote is a counter that may fail, and remembers its batches.
type remote struct {
	*window.Table
	err     error
	batches [][]window.Hit
}

func (r *remote) Do(ctx context.Context, hits []window.Hit, results []window.Result, now int64) error {
	r.batches = append(r.batches, append([]window.Hit(nil), hits...))
	if r.err != nil {
		return r.err
	}
	return r.Table.Do(ctx, hits, results, now)
}

// newRemote makes an engine whose counter is not its own.
func newRemote(t interface {
	Fatal(...any)
	Helper()
}, cfg Config, yaml string,
) (*Engine, *remote, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	r := &remote{Table: window.New(1000, 1)}
	e, err := New(cfg, rules(yaml), Deps{Secret: RandomSecret(), Counter: r, Inspector: r, Log: silent(), Registerer: reg}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return e, r, reg
}

const fallbackRules = `
domain: shop
descriptors:
- {key: plain, rate_limit: {unit: hour, requests_per_unit: 2}}
- {key: allow, rate_limit: {unit: hour, requests_per_unit: 2}, metadata: {binnacle: {on_counter_failure: allow}}}
- {key: deny, rate_limit: {unit: hour, requests_per_unit: 2}, metadata: {binnacle: {on_counter_failure: deny}}}
- {key: local, rate_limit: {unit: hour, requests_per_unit: 2}, metadata: {binnacle: {on_counter_failure: local}}}
- {key: quiet, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 2}, metadata: {binnacle: {on_counter_failure: deny}}}
- {key: free, rate_limit: {unlimited: true}}
`

// TestCounterFails: each descriptor is answered by its rule's word, else by the configuration's; a refusal stands, and what has no
// word makes the request an error.
func TestCounterFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		word   string
		shadow bool
		ask    []string
		want   string // a word for each descriptor, then the whole
	}{
		"nobody says":                 {"error", false, []string{"plain=x"}, "failed: error"},
		"the configuration allows":    {"allow", false, []string{"plain=x"}, "failed: ok"},
		"the configuration denies":    {"deny", false, []string{"plain=x"}, "refused: over"},
		"the configuration counts":    {"local", false, []string{"plain=x"}, "counted: ok"},
		"a rule allows":               {"deny", false, []string{"allow=x"}, "failed: ok"},
		"a rule denies":               {"allow", false, []string{"deny=x"}, "refused: over"},
		"a rule counts":               {"error", false, []string{"local=x"}, "counted: ok"},
		"counted three times":         {"error", false, []string{"local=x", "local=x", "local=x"}, "counted counted over: over"},
		"an error beside what passes": {"error", false, []string{"allow=x", "plain=x", "local=x"}, "failed failed counted: error"},
		"a refusal beside an error":   {"error", false, []string{"plain=x", "deny=x"}, "failed refused: over"},
		"a rule in shadow mode":       {"error", false, []string{"quiet=x"}, "failed: ok"},
		"all in shadow mode":          {"error", true, []string{"plain=x", "deny=x"}, "failed failed: ok"},
		"nothing to count":            {"error", false, []string{"free=x", "unknown=x"}, "unlimited none: ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig()
			cfg.OnCounterFailure, cfg.ShadowMode = tt.word, tt.shadow
			e, r, _ := newRemote(t, cfg, fallbackRules)
			r.err = errors.New("no route to host")
			req := Request{Domain: []byte("shop")}
			for _, a := range tt.ask {
				req.Descriptors = append(req.Descriptors, descriptor(a))
			}
			var d Decision
			err := e.Decide(t.Context(), &req, &d, time.Unix(1_700_000_000, 0))
			whole := "ok"
			switch {
			case errors.Is(err, ErrCounter):
				whole = "error"
			case err != nil:
				t.Fatal(err)
			case d.Over:
				whole = "over"
			}
			var words []string
			for _, a := range d.Statuses {
				switch {
				case a.Failed && a.Over:
					words = append(words, "refused")
				case a.Failed:
					words = append(words, "failed")
				case a.Over:
					words = append(words, "over")
				case a.Unlimited:
					words = append(words, "unlimited")
				case a.Limit == nil:
					words = append(words, "none")
				default:
					words = append(words, "counted")
				}
			}
			if got := strings.Join(words, " ") + ": " + whole; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if d.Closest >= 0 && d.Statuses[d.Closest].Failed {
				t.Error("a client is told of a limit whose use is not known")
			}
		})
	}
}

// TestCounterFailureIsTold: in the metrics and in the status, by rule as well, until the counter is reached again.
func TestCounterFailureIsTold(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.OnCounterFailure = "allow"
	e, r, reg := newRemote(t, cfg, fallbackRules+"- key: source_cluster\n  rate_limit: {unit: hour, requests_per_unit: 2}\n"+
		"  metadata: {binnacle: {on_counter_failure: deny}}\n")
	now := time.Unix(1_700_000_000, 0)
	r.err = errors.New("no route to host")
	if n := ask(t, e, now, 3, descriptor("plain=x")); n != 3 {
		t.Errorf("%d admitted, want 3 though the limit is 2", n)
	}
	if n := ask(t, e, now.Add(2*time.Second), 2, descriptor("source_cluster=web")); n != 0 {
		t.Errorf("%d admitted, want none", n)
	}
	ask(t, e, now, 4, descriptor("local=x"))
	s := e.Status(now)
	want := CounterStatus{Error: "no route to host", FailedAt: time.Unix(1_700_000_002, 0), Fallback: "allow"}
	if diff := cmp.Diff(want, s.Counter); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if d := s.Rules[0].Decisions; d != (DecisionsStatus{Total: 3, Failed: 3}) {
		t.Errorf("the rule that was not counted says %+v", d)
	}
	if d := s.Rules[3].Decisions; d != (DecisionsStatus{Total: 4, OK: 2, OverLimit: 2, NearLimit: 1}) {
		t.Errorf("the rule that was counted here says %+v", d)
	}
	if got := e.ThrottledEdges(now); len(got) != 1 || got[0].Source != "web" {
		t.Errorf("throttled: %+v, want web, which was refused", got)
	}
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP binnacle_quota_counter_failures_total Descriptors that could not be counted, by what was answered: error (the proxy decides), allow, deny, local (counted in this process).
# TYPE binnacle_quota_counter_failures_total counter
binnacle_quota_counter_failures_total{answer="allow"} 3
binnacle_quota_counter_failures_total{answer="deny"} 2
binnacle_quota_counter_failures_total{answer="error"} 0
binnacle_quota_counter_failures_total{answer="local"} 4
`), "binnacle_quota_counter_failures_total")
	if err != nil {
		t.Error(err)
	}
	r.err = nil
	if n := ask(t, e, now, 3, descriptor("plain=x")); n != 2 {
		t.Errorf("%d admitted when the counter is reached again, want 2", n)
	}
	if s := e.Status(now); s.Counter.Error != "" || !s.Counter.FailedAt.IsZero() {
		t.Errorf("an outage that has ended is told: %+v", s.Counter)
	}
}

// TestBatch: a request of several descriptors, of the same key too, is one batch, and each is answered as if they were asked about
// one after the other. What is known of the rules afterwards is the same as well.
func TestBatch(t *testing.T) {
	t.Parallel()
	const yaml = `
domain: shop
descriptors:
- {key: a, rate_limit: {unit: minute, requests_per_unit: 3}}
- {key: b, value: "x*", share_threshold: true, rate_limit: {unit: minute, requests_per_unit: 5}}
- {key: c, detailed_metric: true, shadow_mode: true, rate_limit: {unit: second, requests_per_unit: 1}}
- {key: free, rate_limit: {unlimited: true}}
`
	rapid.Check(t, func(t *rapid.T) {
		cfg := DefaultConfig()
		cfg.CountRefused = rapid.Bool().Draw(t, "count refused")
		batched, r, _ := newRemote(t, cfg, yaml)
		single, _, _ := newRemote(t, cfg, yaml)
		now := time.Unix(1_700_000_000, 0)
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			req := Request{Domain: []byte("shop"), Hits: rapid.Uint32Range(0, 2).Draw(t, "hits")}
			limited := 0
			for range rapid.IntRange(1, 12).Draw(t, "descriptors") {
				pair := rapid.SampledFrom([]string{"a=1", "a=2", "b=x1", "b=x2", "c=1", "own=1", "free=1", "none=1"}).Draw(t, "descriptor")
				d := descriptor(pair)
				d.Hits, d.OwnHits = rapid.Uint64Range(0, 3).Draw(t, "own hits"), rapid.Bool().Draw(t, "own")
				d.Negative = rapid.IntRange(0, 6).Draw(t, "refund") == 0
				if d.OwnLimit = pair == "own=1"; d.OwnLimit {
					d.Override.Unit, d.Override.RequestsPerUnit = 2, 4
				}
				if pair != "free=1" && pair != "none=1" {
					limited++
				}
				req.Descriptors = append(req.Descriptors, d)
			}
			r.batches = nil
			var got, one Decision
			if err := batched.Decide(context.Background(), &req, &got, now); err != nil {
				t.Fatal(err)
			}
			if n := len(r.batches); n != min(limited, 1) || n == 1 && len(r.batches[0]) != limited {
				t.Fatalf("%d batches of %v for %d descriptors with a limit", n, r.batches, limited)
			}
			over := false
			for i := range req.Descriptors {
				alone := Request{Domain: req.Domain, Hits: req.Hits, Descriptors: req.Descriptors[i : i+1]}
				if err := single.Decide(context.Background(), &alone, &one, now); err != nil {
					t.Fatal(err)
				}
				over = over || one.Over
				if diff := cmp.Diff(plain(one.Statuses[0]), plain(got.Statuses[i])); diff != "" {
					t.Fatalf("descriptor %d of %+v (-alone +batch):\n%s", i, req.Descriptors, diff)
				}
			}
			if got.Over != over {
				t.Fatalf("over %v, want %v", got.Over, over)
			}
		}
		ignoreOrder := cmpopts.SortSlices(func(a, b KeyStatus) bool { return a.Key < b.Key })
		if diff := cmp.Diff(single.Status(now), batched.Status(now), ignoreOrder); diff != "" {
			t.Fatalf("status (-alone +batch):\n%s", diff)
		}
	})
}

// plain is an answer without its pointers.
func plain(a Answer) string {
	return fmt.Sprint(a.Over, a.Failed, a.Unlimited, a.Limit != nil, a.Remaining, a.Reset)
}
