package health_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// TestStory runs testdata/story. Commands:
//
//	judge [degraded_errors= failing_errors= throttled= degraded_latency= failing_latency= latency_floor=]
//	      each line is traffic: requests= errors= throttled= p90= (of the same requests) before=60ms/200 (p90 / requests)
func TestStory(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/story", func(t *testing.T, d *datadriven.TestData) string {
		c := health.DefaultConfig()
		for _, a := range d.CmdArgs {
			set(t, &c, a.Key, a.Vals[0])
		}
		if err := c.Validate(); err != nil {
			return err.Error() + "\n"
		}
		var sb strings.Builder
		for line := range strings.Lines(d.Input) {
			line = strings.TrimSpace(line)
			fmt.Fprintf(&sb, "%-9s %s\n", c.Judge(traffic(t, line)), line)
		}
		return sb.String()
	})
}

func set(t *testing.T, c *health.Config, key, v string) {
	t.Helper()
	switch key {
	case "degraded_errors":
		c.DegradedErrors = number(t, v)
	case "failing_errors":
		c.FailingErrors = number(t, v)
	case "throttled":
		c.Throttled = number(t, v)
	case "degraded_latency":
		c.DegradedLatency = number(t, v)
	case "failing_latency":
		c.FailingLatency = number(t, v)
	case "latency_floor":
		c.LatencyFloor = time.Duration(millis(t, v) * float64(time.Millisecond))
	default:
		t.Fatalf("no such setting: %s", key)
	}
}

func traffic(t *testing.T, line string) (tr health.Traffic) {
	t.Helper()
	for _, f := range strings.Fields(line) {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "requests":
			tr.Requests = number(t, v)
		case "errors":
			tr.Errors = number(t, v)
		case "throttled":
			tr.Throttled = number(t, v)
		case "p90":
			tr.Latency = health.Latency{P90: millis(t, v), Requests: tr.Requests}
		case "before":
			p90, n, _ := strings.Cut(v, "/")
			tr.Before = health.Latency{P90: millis(t, p90), Requests: number(t, n)}
		default:
			t.Fatalf("no such figure: %s", f)
		}
	}
	return tr
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func millis(t *testing.T, s string) float64 {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return float64(d) / 1e6
}

// What is not compared is never ill, and what is compared can be.
func TestWhatIsComparedCanBeIll(t *testing.T) {
	t.Parallel()
	c := health.DefaultConfig()
	calm := health.Latency{P90: 0.001, Requests: 1e6}
	for _, l := range []health.Latency{{P90: 9.9, Requests: 500}, {P90: 10, Requests: 500}, {P90: 500, Requests: 19}, {P90: 500, Requests: 20}, {}} {
		ill := c.Judge(health.Traffic{Requests: 1000, Latency: l, Before: calm}) != telemetry.HealthOK
		if c.ComparesLatency(l) != ill {
			t.Errorf("%+v: compared %v, ill %v", l, c.ComparesLatency(l), ill)
		}
	}
}
