package app

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
)

// ready says whether the server can do its work: it can, unless the log takes nothing or its disk stands still.
func (a *App) ready() error { return a.pipeline.wal.Ready() }

// status is what /api/v1/status shows. Counts come from the process' own
// metrics, so that both tell the same.
func (a *App) status() binnacle.Status {
	blocks := a.blocks.Stats()
	s := binnacle.Status{
		Name: "binnacle", Version: a.version, Started: a.started.UnixMilli(), Ready: a.ready() == nil,
		Stored: binnacle.Stored{Spans: uint64(blocks.Spans), Bytes: uint64(blocks.Bytes), Blocks: uint64(blocks.Blocks)},
		Log:    a.logStatus(a.clock.Now()),
		Series: a.series.Series(), Dropped: map[string]uint64{},
	}
	for _, d := range a.blocks.Damaged() {
		s.Stored.Damaged = append(s.Stored.Damaged, binnacle.Damaged{File: d.File, Reason: d.Reason})
	}
	for _, d := range a.series.Damaged(a.clock.Now()) {
		s.Stored.Damaged = append(s.Stored.Damaged, binnacle.Damaged{File: "series/" + d.File, Reason: d.Reason})
	}
	for _, l := range a.listeners {
		s.Ports = append(s.Ports, binnacle.Port{Name: l.field, Address: l.Addr().String(), Speaks: l.speaks})
	}
	for _, l := range a.embedded.Listeners() {
		s.Ports = append(s.Ports, binnacle.Port{Name: l.Name, Address: l.Address, Speaks: l.Speaks})
	}
	count(a.reg, &s)
	s.Findings = a.ownFindings(a.clock.Now())
	return s
}

// logStatus is how the log fares, and who follows it.
func (a *App) logStatus(now time.Time) binnacle.LogStatus {
	lost := a.pipeline.wal.Damage()
	l := binnacle.LogStatus{
		Bytes: uint64(a.pipeline.wal.Bytes()), Missing: lost.Missing, Uncertain: lost.Uncertain, DamagedBytes: uint64(lost.Bytes),
		Restored: a.pipeline.live.restored.status(),
	}
	for _, f := range a.pipeline.wal.Followers() {
		s := binnacle.FollowerStatus{
			Name: f.Name, Policy: "best_effort", Position: uint64(f.Position),
			LagSeconds: f.Age(now).Seconds(), LagBytes: uint64(f.Lag.Bytes),
			LeftOut: binnacle.LeftOut{Batches: f.LeftOut.Records, Spans: f.LeftOut.Spans, Requests: f.LeftOut.Requests, Lost: f.Lost},
		}
		if f.Policy.Essential {
			s.Policy = "essential"
		}
		if f.Name == graphFollower {
			l.Restored.MissingBatches = f.LeftOut.Records // it skips none but at the start
		}
		l.Followers = append(l.Followers, s)
	}
	return l
}

// count fills in what the metrics say.
func count(g prometheus.Gatherer, s *binnacle.Status) {
	families, err := g.Gather()
	if err != nil && len(families) == 0 {
		return
	}
	for _, f := range families {
		name := f.GetName()
		switch {
		case name == "binnacle_collector_spans_total":
			s.Received.Spans = sum(f)
		case name == "binnacle_collector_requests_total":
			s.Received.Requests = sum(f)
		case strings.HasPrefix(name, "binnacle_") && strings.HasSuffix(name, "_dropped_total"):
			for _, m := range f.GetMetric() {
				if n := uint64(m.GetCounter().GetValue()); n > 0 {
					s.Dropped[reason(m)] += n
				}
			}
		}
	}
}

func sum(f *dto.MetricFamily) (n uint64) {
	for _, m := range f.GetMetric() {
		n += uint64(m.GetCounter().GetValue())
	}
	return n
}

func reason(m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == "reason" {
			return l.GetValue()
		}
	}
	return "unknown"
}
