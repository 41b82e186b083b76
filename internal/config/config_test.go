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
}
