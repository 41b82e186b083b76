package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// answer is a log that has one answer for everything.
type answer struct {
	pool *Pool
	err  error
}

func (a *answer) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	a.pool.Put(b)
	return 1, a.err
}

func newTest(t *testing.T, log *answer) (*Intake, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	log.pool = NewPool()
	c, err := New(DefaultConfig(), nil, log, log.pool, reg, func() time.Time { return testNow })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c.Intake("test"), reg
}

func TestInterval(t *testing.T) {
	t.Parallel()
	in, _ := newTest(t, &answer{})
	const second, day = uint64(time.Second), uint64(24 * time.Hour)
	limits := in.Config().Limits
	limits.MaxAge = 30 * time.Duration(day)
	in.c.SetLimits(limits)
	now := uint64(testNow.UnixNano())
	for name, c := range map[string]struct {
		start, end uint64
		at         int64 // before now
		duration   time.Duration
		repair     string
		old        bool
	}{
		"ordinary":                       {start: now - 2*second, end: now - second, at: 2e9, duration: time.Second},
		"just begun":                     {start: now + second, end: now + 2*second, at: -1e9, duration: time.Second},
		"no start":                       {start: 0, end: now - second, at: 1e9, repair: "time_zero"},
		"no times":                       {repair: "time_zero"},
		"no start, an end in years":      {end: now + 9000*day, repair: "time_zero"},
		"no end":                         {start: now - second, at: 1e9, repair: "time_reversed"},
		"reversed":                       {start: now - second, end: now - 2*second, at: 1e9, repair: "time_reversed"},
		"in years":                       {start: now + 9000*day, end: now + 9000*day + second, at: 1e9, duration: time.Second, repair: "time_future"},
		"at the end of numbers":          {start: 1<<64 - 1, end: 1<<64 - 1, repair: "time_future"},
		"in years, and reversed":         {start: now + 9000*day, end: 1, repair: "time_future"},
		"an end in years":                {start: now - second, end: now + 9000*day, at: 1e9, duration: time.Second, repair: "time_future"},
		"a start ahead, an end in years": {start: now + second, end: 1<<64 - 1, at: -1e9, repair: "time_future"},
		"29 days old":                    {start: now - 29*day, end: now - 29*day, at: int64(29 * day)},
		"31 days old":                    {start: now - 31*day, end: now, old: true},
		"of the epoch":                   {start: 1, end: 2, old: true},
	} {
		var f Fill
		in.Begin(&f)
		at, duration, ok := f.Interval(c.start, c.end)
		if ok == c.old {
			t.Errorf("%s: taken is %v", name, ok)
		}
		if ok && (testNow.UnixNano()-at != c.at || time.Duration(duration) != c.duration) {
			t.Errorf("%s: %d before now for %v, want %d for %v", name, testNow.UnixNano()-at, time.Duration(duration), c.at, c.duration)
		}
		var repaired []string
		for i, n := range f.repaired {
			if n > 0 {
				repaired = append(repaired, repairNames[i])
			}
		}
		if got := strings.Join(repaired, " "); got != c.repair {
			t.Errorf("%s: repaired %q, want %q", name, got, c.repair)
		}
		in.Abandon(&f)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	in, reg := newTest(t, &answer{})
	var f Fill
	in.Begin(&f)
	long := strings.Repeat("é", 3000) // 6000 bytes
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"a\xff\xfeb", "a\uFFFDb"},
		{"a\xff\xfeb", "a\uFFFDb"}, // again: now it is in the table, the raw form is not
		{long, long[:4096]},
		{"x" + long, "x" + long[:4094]}, // not in the middle of a character
	} {
		if got := f.Batch.Str(f.Text([]byte(c.in))); got != c.want {
			t.Errorf("Text(%.20q) is %.20q of %d bytes, want %.20q of %d", c.in, got, len(got), c.want, len(c.want))
		}
	}
	if got := f.Batch.Str(f.Key([]byte(strings.Repeat("k", 300)))); len(got) != 256 {
		t.Errorf("a key has %d bytes, want 256", len(got))
	}
	// Bytes may be no text, and must not make text pass that is none.
	if got := f.Batch.Bytes(f.Raw([]byte("\xff"))); string(got) != "\xff" {
		t.Errorf("Raw changed bytes to %q", got)
	}
	if got := f.Batch.Str(f.Text([]byte("\xff"))); got != "\uFFFD" {
		t.Errorf("Text after Raw of the same bytes is %q", got)
	}
	f.Batch.Spans = append(f.Batch.Spans, telemetry.Span{})
	if err := in.Append(t.Context(), &f, 123); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, reason := range []string{"utf8", "length"} {
		got[reason] = countertest.Value(t, reg, "repaired", reason)
	}
	if diff := cmp.Diff(map[string]float64{"utf8": 3, "length": 3}, got); diff != "" {
		t.Errorf("repairs counted (-want +got):\n%s", diff)
	}
	if b := countertest.Value(t, reg, "bytes", ""); b != 123 {
		t.Errorf("%v bytes counted, want 123", b)
	}
}

// TestRefusals has the log answer with each error that it may, and reads what
// a sender is told.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		reason string
		code   codes.Code
		http   int
		retry  bool
	}{
		{fmt.Errorf("log is full: %w", telemetry.ErrOverloaded), "overloaded", codes.ResourceExhausted, 429, true},
		{telemetry.ErrClosed, "closed", codes.Unavailable, 503, false},
		{context.Canceled, "canceled", codes.Canceled, 408, false},
		{context.DeadlineExceeded, "slow", codes.DeadlineExceeded, 408, false},
		{errors.New("disk is gone"), "failed", codes.Unavailable, 503, true},
	} {
		in, reg := newTest(t, &answer{err: c.err})
		var f Fill
		in.Begin(&f)
		f.Repair(RepairUTF8)
		f.Batch.Spans = append(f.Batch.Spans, telemetry.Span{})
		err := in.Append(t.Context(), &f, 1)
		r, ok := errors.AsType[*Refusal](err)
		if !ok {
			t.Fatalf("%v: became %T", c.err, err)
		}
		st := status.Convert(err)
		if st.Code() != c.code || r.HTTPStatus() != c.http || len(st.Details()) > 0 != c.retry || r.RetryAfter > 0 != c.retry {
			t.Errorf("%v: %v with %d details, HTTP %d, retry after %v", c.err, st.Code(), len(st.Details()), r.HTTPStatus(), r.RetryAfter)
		}
		if got := countertest.Value(t, reg, "refused_messages", c.reason); got != 1 {
			t.Errorf("%v: %v refusals counted as %s, want 1", c.err, got, c.reason)
		}
		for _, name := range []string{"spans", "repaired"} {
			if got := countertest.Value(t, reg, name, ""); got != 0 {
				t.Errorf("%v: %v %s counted, though the sender will send them again", c.err, got, name)
			}
		}
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	in, reg := newTest(t, &answer{})
	most := int(in.Config().MaxInflightBytes)
	if err := in.Admit(nil, most); err != nil {
		t.Fatal(err)
	}
	err := in.Admit(nil, 1)
	if r, ok := errors.AsType[*Refusal](err); !ok || !errors.Is(err, telemetry.ErrOverloaded) || r.RetryAfter != time.Second {
		t.Errorf("beyond the limit: %v", err)
	}
	in.Leave(nil, 1)
	if err := in.Admit(nil, 1); err != nil {
		t.Error(err)
	}
	in.Leave(nil, most)
	if got := countertest.Value(t, reg, "refused_messages", "overloaded"); got != 1 || in.Inflight() != 0 {
		t.Errorf("%v refusals counted, %d bytes in flight", got, in.Inflight())
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	if err := cfg.Validate(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	for want, change := range map[string]func(c *Config){
		"max_inflight_bytes: 7":   func(c *Config) { c.MaxInflightBytes = 7 },
		"max_message_bytes: 1024": func(c *Config) { c.MaxMessageBytes, c.MaxInflightBytes = 1<<10|1<<29, 1<<40 },
		"max_message_bytes: 1342": func(c *Config) { c.MaxMessageBytes = 128 << 20 },
		"limits.attributes: 0":    func(c *Config) { c.Limits.Attributes = 0 },
		"limits.depth: 65":        func(c *Config) { c.Limits.Depth = 65 },
		"limits.max_age: -1s":     func(c *Config) { c.Limits.MaxAge = -time.Second },
		"retry_delay: 0s":         func(c *Config) { c.RetryDelay = 0 },
		"min_read_rate: -1":       func(c *Config) { c.MinReadRate = -1 },
		"max_read_time: -1s":      func(c *Config) { c.MaxReadTime = -time.Second },
		"read_timeout: 1ms":       func(c *Config) { c.ReadTimeout = time.Millisecond },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), strings.Fields(want)[0]) {
			t.Errorf("%v, want an error on %s", err, want)
		}
	}
}

// TestPoolForgetsGiants keeps one extraordinary batch from holding its memory
// for ever.
func TestPoolForgetsGiants(t *testing.T) {
	t.Parallel()
	p := NewPool()
	b := p.Get()
	b.Spans = append(b.Spans, make([]telemetry.Span, keepBytes/100)...)
	p.Put(b)
	for range 10 {
		if got := p.Get(); got == b || got.Len() != 0 {
			t.Fatal("a giant came back")
		}
	}
}
