package topology

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A shape is what can be told of a few requests, and what the graph must make of it whatever comes first. In the files of testdata/shapes
//
//	shape            each line is a span or a log entry, as in testdata/stories; twice at the end of a line: its sender delivers it twice
//	shape logs=same  and leaving the log entries out changes nothing but their own counts
//
// prints the edges: requests, errors, and requests by client's spans, server's spans, client's log, server's log. The lines are given to a
// graph in one batch, and in batches of one, in each order (or in 2,000 of them), with the clocks of all services apart, and the edges must be
// the same each time: at once, where the shape says nothing of time, and when all is final.
func TestShapes(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/shapes", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			if d.Cmd != "shape" {
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			lines := shapeLines(d.Input)
			out := shapeOf(t, d.Pos, lines)
			if d.HasArg("logs") {
				spans := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, "log ") })
				with, without := withoutLogs(out), withoutLogs(shapeOf(t, d.Pos, spans))
				if with != without {
					d.Fatalf(t, "with log entries:\n%s\nwithout:\n%s", with, without)
				}
			}
			return out
		})
	})
}

func shapeLines(input string) (lines []string) {
	for l := range strings.Lines(input) {
		l = strings.TrimSpace(l)
		if once, twice := strings.CutSuffix(l, " twice"); twice {
			lines = append(lines, once)
			l = once
		}
		if l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// withoutLogs leaves out what log entries add to a shape: their counts, and the totals that they may have raised.
func withoutLogs(out string) string {
	var sb strings.Builder
	for l := range strings.Lines(out) {
		edge, rest, _ := strings.Cut(l, " ")
		_, spans, _ := strings.Cut(rest, "(")
		spans, _, _ = strings.Cut(spans, " logs")
		fmt.Fprintln(&sb, edge, spans)
	}
	return sb.String()
}

// shapeOf is what a graph makes of lines in any order.
func shapeOf(t *testing.T, pos string, lines []string) string {
	t.Helper()
	all := give(t, [][]string{lines})
	orders(len(lines), func(order []int) bool {
		var batches [][]string
		for _, i := range order {
			batches = append(batches, []string{lines[i]})
		}
		if got := give(t, batches); got != all {
			var in []string
			for _, b := range batches {
				in = append(in, b[0])
			}
			t.Errorf("%s: in one batch\n%s\nand in the order\n%s\n\n%s", pos, all, strings.Join(in, "\n"), got)
			return false
		}
		return true
	})
	return all
}

// give is what a graph makes of batches that come one after the other.
func give(t *testing.T, batches [][]string) string {
	t.Helper()
	s := &story{t: New(DefaultConfig())}
	at := time.Duration(0)
	for _, lines := range batches {
		at += 700 * time.Millisecond
		s.batchOf(t, at, strings.Join(lines, "\n"), func(b *telemetry.Batch) {
			for i := range b.Spans {
				id := &b.Resources[b.Spans[i].Resource].Identity
				h := fnv.New32()
				_, _ = h.Write(b.Bytes(id.Service))
				b.Spans[i].Start = storyStart + int64(h.Sum32()%13)*int64(time.Second)
			}
			for i := range b.Requests {
				b.Requests[i].Start = storyStart
			}
		})
	}
	if err := s.t.Check(); err != nil {
		t.Error(err)
	}
	s.t.Tick(storyStart + int64(at+20*time.Second))
	if err := s.t.Check(); err != nil {
		t.Error(err)
	}
	var sb strings.Builder
	for _, e := range fresh(s.t).Edges {
		fmt.Fprintf(&sb, "%s %d", e.ID, e.Totals.Requests)
		if e.Totals.Errors > 0 {
			fmt.Fprintf(&sb, " errors=%d", e.Totals.Errors)
		}
		if e.Totals.Throttled > 0 {
			fmt.Fprintf(&sb, " throttled=%d", e.Totals.Throttled)
		}
		fmt.Fprintf(&sb, " (spans %d/%d logs %d/%d)\n", e.Witnesses.ClientSpan, e.Witnesses.ServerSpan, e.Witnesses.ClientLog, e.Witnesses.ServerLog)
	}
	if sb.Len() == 0 {
		return "no edges\n"
	}
	return sb.String()
}

// orders calls f with each order of n things, or with 2,000 of them, until it returns false.
func orders(n int, f func([]int) bool) {
	if n > 6 {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		for range 2000 {
			if !f(r.Perm(n)) {
				return
			}
		}
		return
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var rest func(int) bool
	rest = func(k int) bool {
		if k == n {
			return f(order)
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			ok := rest(k + 1)
			order[k], order[i] = order[i], order[k]
			if !ok {
				return false
			}
		}
		return true
	}
	rest(0)
}
