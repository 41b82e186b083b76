package promql

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHeavy(t *testing.T) {
	t.Parallel()
	e, err := New(DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		`binnacle_edge_duration_seconds`:                                 false,
		`sum by (service) (rate(istio_requests_total{code=~"5.."}[5m]))`: false,
		`rate(a[5m]) / rate(b[5m])`:                                      false,
		`1 + 2`:                                                          false,
		`{__name__=~".+"}`:                                               true,
		`sum(rate({service="a"}[1m]))`:                                   true,
		`max_over_time(sum(rate(a[1m]))[1h:1s])`:                         true,
		`rate(a[30d])`:                                                   true,
		`a * on(service) group_left(operation) b`:                        true,
		`label_replace({__name__=~".+"}, "x", "$1", "operation", "(.*)")`: true,
		`sum(`: false, // not to be parsed: refused elsewhere
		strings.Repeat("(", 1000) + "a" + strings.Repeat(")", 1000): false,
	} {
		if got := e.Heavy(text); got != want {
			t.Errorf("%.60s: heavy is %t, want %t", text, got, want)
		}
	}
}
