package quota

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStatus asks some requests and holds what is told of them.
func TestStatus(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t, DefaultConfig(), shop)
	start := time.Unix(1_700_000_040, 0) // 1,700,000,040 is a whole minute
	for s := range 12 {
		now := start.Add(time.Duration(s) * time.Second)
		e.Tick(now)
		ask(t, e, now, 10, descriptor("client_id=mobile", "path=/checkout"))
		ask(t, e, now, 1, descriptor("client_id=web", "path=/checkout"))
	}
	ask(t, e, start, 2, descriptor("quiet=x"))
	ask(t, e, start, 1, descriptor("free=x"))
	got := e.Status(start.Add(12 * time.Second))
	if r := got.Rules[0].Top[0].LimitedRate; r < 0.9 || r > 1.0 { // 60 refusals, fading by a minute
		t.Errorf("limited_rate %v, want a little under 1", r)
	}
	got.Rules[0].Top[0].LimitedRate, got.Rules[1].Top[0].LimitedRate = 1, 1
	want := Status{
		Generation: 1, LoadedAt: time.Unix(0, 0), Counter: CounterStatus{Fallback: "error"},
		Files: []FileStatus{{Name: "rules.yaml", Domain: "shop"}},
		Rules: []RuleStatus{
			{
				ID: "shop/client_id/path_/checkout", Domain: "shop", Descriptor: "client_id / path=/checkout", Unit: "minute", RequestsPerUnit: 60,
				Decisions:  DecisionsStatus{Total: 132, OK: 72, OverLimit: 60, NearLimit: 12},
				Rates:      RatesStatus{OK: 5, OverLimit: 6},
				ActiveKeys: 2,
				Top: []KeyStatus{
					{Key: "client_id=mobile, path=/checkout", Used: 60, Limit: 60, Limited: 60, LimitedRate: 1, ResetsIn: 48000 * time.Millisecond},
					{Key: "client_id=web, path=/checkout", Used: 12, Limit: 60, ResetsIn: 48000 * time.Millisecond},
				},
			},
			{
				ID: "shop/quiet", Domain: "shop", Descriptor: "quiet", Name: "q", Unit: "hour", RequestsPerUnit: 1, ShadowMode: true,
				Decisions:  DecisionsStatus{Total: 2, OK: 1, NearLimit: 1, Shadow: 1},
				Rates:      RatesStatus{OK: 0.1},
				ActiveKeys: 1,
				Top: []KeyStatus{
					{Key: "quiet=x", Used: 1, Limit: 1, Limited: 1, LimitedRate: 1, ResetsIn: 2748000 * time.Millisecond},
				},
			},
			{
				ID: "shop/free", Domain: "shop", Descriptor: "free", Unlimited: true,
				Decisions: DecisionsStatus{Total: 1, OK: 1},
				Rates:     RatesStatus{OK: 0.1},
				Top:       []KeyStatus{},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
