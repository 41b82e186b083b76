// Package countertest reads the collector's counters, for the tests of its
// receivers.
package countertest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Value sums the counters binnacle_collector_<name>_total that have this
// reason; without one, all of them.
func Value(t testing.TB, reg prometheus.Gatherer, name, reason string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "binnacle_collector_"+name+"_total" {
			continue
		}
		for _, m := range f.Metric {
			match := reason == ""
			for _, l := range m.Label {
				match = match || l.GetName() == "reason" && l.GetValue() == reason
			}
			if match {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}
