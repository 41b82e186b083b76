package app

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
)

// findings is what the rooms noticed, worst and oldest first. A room that finds something is a line here.
func (a *App) findings(now time.Time) (out []telemetry.Finding) {
	for _, of := range []func(time.Time) []telemetry.Finding{
		a.logFindings, a.clockFindings, a.logDamage, a.seriesDamage, a.restoreFindings,
		a.quota.Findings, a.signals.Findings, a.topology.Findings,
	} {
		out = append(out, of(now)...)
	}
	slices.SortStableFunc(out, func(x, y telemetry.Finding) int {
		if x.Loss != y.Loss {
			if x.Loss {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x.Severity, y.Severity), x.Since.Compare(y.Since))
	})
	return out
}

// ownFindings are those that are about this server, and not about what the graph shows.
func (a *App) ownFindings(now time.Time) (out []binnacle.Finding) {
	for _, f := range a.findings(now) {
		if len(f.Nodes) == 0 {
			out = append(out, binnacle.Finding{
				Kind: f.Kind, Subject: f.Subject, Says: f.Says, Remedy: f.Remedy, Count: f.Count, Since: f.Since.UnixMilli(), Loss: f.Loss,
			})
		}
	}
	return out
}

// findingsMetric counts what is found now, by kind; a kind of the graph's is there with 0 too, so that a rule for it can be written before it is ever found.
type findingsMetric struct {
	a    *App
	desc *prometheus.Desc
}

func newFindingsMetric(a *App) findingsMetric {
	return findingsMetric{a, prometheus.NewDesc("binnacle_findings", "What the server noticed of itself, or why the graph may be wrong, by kind; /api/v1/findings says what.", []string{"kind"}, nil)}
}

// Describe implements prometheus.Collector.
func (m findingsMetric) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

// Collect implements prometheus.Collector.
func (m findingsMetric) Collect(ch chan<- prometheus.Metric) {
	counts := map[string]int{}
	for _, k := range findings.Kinds() {
		counts[string(k)] = 0
	}
	for _, f := range m.a.findings(m.a.clock.Now()) {
		counts[f.Kind]++
	}
	for kind, n := range counts {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(n), kind)
	}
}

// logFindings says that the log takes nothing.
func (a *App) logFindings(now time.Time) []telemetry.Finding {
	err := a.ready()
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*wal.Fault](err); ok {
		now = fault.Since
	}
	return []telemetry.Finding{{
		Kind: "log_unwritable", Subject: a.path("wal"), Says: err.Error(), Since: now,
		Remedy: "see that the disk has room and may be written to",
	}}
}

// clockFindings says that times are not the wall's.
func (a *App) clockFindings(now time.Time) []telemetry.Finding {
	off := a.clock.Off()
	if off.Abs() <= 2*time.Second {
		return nil
	}
	f := telemetry.Finding{Kind: "clock_stepped", Subject: "clock", Since: now}
	if off > 0 {
		f.Says = fmt.Sprintf("this machine's clock was set back, or was ahead before the start: times here are %s ahead of it, lest what comes be taken for old", off.Round(time.Second))
		f.Remedy = "see that the machine's clock is right; the difference is made up by a hundredth of the time that passes"
	} else {
		f.Says = fmt.Sprintf("this machine's clock went %s ahead of the time that has passed", (-off).Round(time.Second))
		f.Remedy = "it is believed, and followed, when it has stayed so for a minute"
	}
	return []telemetry.Finding{f}
}

// restoreFindings says what of graph and signals the start could not restore, and stays until the next.
func (a *App) restoreFindings(time.Time) (out []telemetry.Finding) {
	restored := a.logStatus(a.clock.Now()).Restored
	for _, aside := range restored.SetAside {
		f := telemetry.Finding{
			Kind: "checkpoint_set_aside", Subject: aside.File, Says: aside.Reason, Since: a.started, Count: restored.MissingBatches, Loss: restored.MissingBatches > 0,
			Remedy: "keep the file for whoever is to find the fault; the graph and the signals were derived again from the log",
		}
		if f.Loss {
			f.Says = fmt.Sprintf("%s; what graph and signals had of %d batches that the log no longer holds is lost, their traces are not", f.Says, f.Count)
		}
		out = append(out, f)
	}
	return out
}

// logDamage says what the log has lost.
func (a *App) logDamage(time.Time) []telemetry.Finding {
	d := a.pipeline.wal.Damage()
	if d == (wal.Damage{}) {
		return nil
	}
	says := fmt.Sprintf("the log has lost %d batches", d.Missing)
	if d.Uncertain > 0 {
		says += fmt.Sprintf(", and perhaps up to %d at its end", d.Uncertain)
	}
	return []telemetry.Finding{{
		Kind: "log_damaged", Subject: a.path("wal"), Count: d.Missing, Since: a.started, Loss: true,
		Says:   fmt.Sprintf("%s: %d bytes in %d places cannot be read", says, d.Bytes, d.Places),
		Remedy: "see that the disk is sound; the damaged bytes are kept in *.damaged beside the log, which may be removed",
	}}
}

// seriesDamage says what of the series is lost.
func (a *App) seriesDamage(now time.Time) (out []telemetry.Finding) {
	for _, d := range a.series.Damaged(now) {
		out = append(out, telemetry.Finding{
			Kind: "series_damaged", Subject: filepath.Join(a.path("series"), d.File), Says: "samples of series are lost: " + d.Reason, Since: a.started, Loss: true,
			Remedy: "see that the disk is sound; answers that may lack something say so for as long as the file is there, and it may be removed",
		})
	}
	return out
}
