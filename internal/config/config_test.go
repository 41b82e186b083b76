package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parse(text string) (Config, error) {
	c := Default()
	err := c.parse([]byte(text), func(name string) (string, bool) {
		v, ok := map[string]string{"WEB": "127.0.0.1:1", "EMPTY": ""}[name]
		return v, ok
	})
	return c, err
}

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	again, err := parse("")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, again); d != "" {
		t.Errorf("an empty file changes the defaults:\n%s", d)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := parse(`
listen: {web: "${WEB}", rls: "${NONE:-127.0.0.1:2}", mesh: ""}
storage: {checkpoint_interval: 3s}
collector:
  receivers: {zipkin: {endpoint: "${env:HOST}:9411"}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen.Web, want.Listen.RLS, want.Listen.Mesh = "127.0.0.1:1", "127.0.0.1:2", ""
	want.Storage.CheckpointInterval = 3 * time.Second
	want.Collector = map[string]any{"receivers": map[string]any{"zipkin": map[string]any{"endpoint": "${env:HOST}:9411"}}}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// Each mistake is told with its place and what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	f := func(text string, want ...string) {
		t.Helper()
		_, err := parse(text)
		if err == nil {
			t.Errorf("%s\nwas accepted", text)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s\nerror %q does not say %q", text, err, w)
			}
		}
	}
	f("lisen: {}", "line 1", "lisen", "not known")
	f("listen:\n  wbe: x", "line 2", "wbe")
	f("listen: {web: nonsense}", "listen.web", "host:port")
	f("listen: {web: \"${NOPE}\"}", "line 1", "NOPE", ":-default")
	f("log: {level: loud}", "log.level", "debug, info")
	f("data: \"\"", "data", "directory")
	f("storage: {checkpoint_interval: 1ms}", "storage.checkpoint_interval", "100ms")
	f("storage: {wal: {segment_bytes: 5}}", "storage.wal.segment_bytes")
	f("quota: {near_limit_ratio: 7}", "quota.near_limit_ratio")
	f("receive: {max_message_bytes: -1}", "receive.max_message_bytes")
	f("data: x\n---\ndata: y", "second")
	f("data: [", "line")
	f("storage: {wal: {max_bytes: 4GB}}", "line 1", "max_bytes", "4GB", "KiB, MiB")
	f("storage: {wal: {max_bytes: 9999999999TiB}}", "beyond")
	f("storage: {retention_interval: 0.5s}", "storage.retention_interval", "1s", "24h")
	f("storage: {blocks: {retention_age: 0}}", "line 1", "duration", "168h")
}

func TestSizes(t *testing.T) {
	t.Parallel()
	c, err := parse(`
# über 1GiB: a comment stays
receive: {max_inflight_bytes: 128MiB, max_message_bytes: "32 MiB", limits: {value_bytes: 8KiB, key_bytes: 300}}
storage:
  wal:
    max_bytes: '2GiB' # not 4GiB
  blocks: {retention_bytes: 1TiB}
collector: {receivers: {zipkin: {max_request_body_bytes: 1KiB}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Receive.MaxInflightBytes, want.Receive.MaxMessageBytes = 128<<20, 32<<20
	want.Receive.Limits.ValueBytes, want.Receive.Limits.KeyBytes = 8<<10, 300
	want.Storage.WAL.MaxBytes, want.Storage.Blocks.RetentionBytes = 2<<30, 1<<40
	want.Collector = map[string]any{"receivers": map[string]any{"zipkin": map[string]any{"max_request_body_bytes": "1KiB"}}}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// How old a span may be is how long the trace store keeps it, unless it is said.
func TestMaxAgeIsWhatIsKept(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 7 * 24 * time.Hour,
		"storage: {blocks: {retention_age: 48h}}":                                     48 * time.Hour,
		"storage: {blocks: {retention_age: 0s}}":                                      0, // kept for ever, and so taken at any age
		"storage: {blocks: {retention_age: 48h}}\nreceive: {limits: {max_age: 720h}}": 720 * time.Hour,
		"receive: {limits: {max_age: 0s}}":                                            0,
		"receive: {limits: {records: 5}}":                                             7 * 24 * time.Hour,
	} {
		c, err := parse(text)
		if err != nil || c.Receive.Limits.MaxAge != want {
			t.Errorf("%q: %v, want %v (%v)", text, c.Receive.Limits.MaxAge, want, err)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	a, err := parse("collector: {receivers: {zipkin: {endpoint: a}}, exporters: {otlp: {headers: {key: secret}}}}")
	if err != nil {
		t.Fatal(err)
	}
	b, err := parse(`
listen: {web: ""}
collector: {receivers: {zipkin: {endpoint: a}}, exporters: {otlp: {headers: {key: other}}}, service: {}}
quota: {source_keys: [a, b]}
storage: {retention_interval: 90s}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range Diff(a, b) {
		got = append(got, c.String())
	}
	want := []string{
		`listen.web: 127.0.0.1:8700 -> ""`,
		"collector.exporters", "collector.service", // without values, which may be secret
		"storage.retention_interval: 1m0s -> 1m30s",
		"quota.source_keys: [source_cluster] -> [a, b]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := Diff(b, b); d != nil {
		t.Errorf("of itself: %v", d)
	}
	c := a
	c.Take(b, "storage.retention_interval")
	c.Take(b, "quota")
	if got := Diff(c, b); len(got) != 3 {
		t.Errorf("after two were taken: %v", got)
	}
}
