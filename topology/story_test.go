package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A story is a file of testdata: spans and log entries in, graph out.
//
//	batch at=1s          each line is a span or a log entry, written as key=value
//	tick at=12s          time passes; with to=20s a second at a time
//	graph                the edges: totals as they are shown, counts by witness
//	nodes                the nodes with their inbound rates over a minute
//	judged               who is to blame, and what is said of whom
//	inbound window=10s   each node's inbound rate/errors/throttled, and what its drawn edges sum to
//	observed             what Consume and Tick have returned since the last time
//	throttled            rules' rates are reported: source target rule rate
//	stats                counters that are not zero
//
// Times are after storyStart.
const storyStart = 1_795_222_800_000_000_000

// story runs one file.
type story struct {
	t        *Topology
	observed []string
	position telemetry.Position
}

func (s *story) observe(seen telemetry.Observed) {
	for _, o := range seen.Requests {
		s.observed = append(s.observed, fmt.Sprintf("%s %s: %s v=%q,%q -> %s v=%q,%q %s code=%d %s",
			o.Side, o.Evidence, o.Edge.Source.Node.ID(), o.Edge.Source.Version, o.Edge.Source.Principal,
			o.Edge.Target.Node.ID(), o.Edge.Target.Version, o.Edge.Target.Principal, o.Edge.Protocol, o.Code, o.Outcome))
	}
}

func TestStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{}
		cfg := DefaultConfig()
		s.t = New(cfg)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			var at string
			if d.HasArg("at") {
				d.ScanArgs(t, "at", &at)
			}
			switch d.Cmd {
			case "config":
				return s.configure(t, d)
			case "batch":
				s.batch(t, duration(t, at), d.Input)
				return ""
			case "tick":
				s.observe(s.t.Tick(storyStart + int64(duration(t, at))))
				if d.HasArg("to") {
					var to string
					d.ScanArgs(t, "to", &to)
					for now := duration(t, at); now <= duration(t, to); now += time.Second {
						s.observe(s.t.Tick(storyStart + int64(now)))
					}
				}
				return ""
			case "graph":
				return edgesText(s.t)
			case "nodes":
				return nodesText(s.t)
			case "judged":
				return judgedText(s.t)
			case "inbound":
				var window string
				d.ScanArgs(t, "window", &window)
				return inboundText(s.t, window)
			case "observed":
				slices.Sort(s.observed)
				out := strings.Join(s.observed, "\n")
				s.observed = nil
				return out + "\n"
			case "throttled":
				return s.throttled(t, duration(t, at), d.Input)
			case "stats":
				return statsText(s.t.Stats())
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
				return ""
			}
		})
	})
}

func (s *story) configure(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	cfg := DefaultConfig()
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "max_edges":
			a.Scan(t, 0, &cfg.MaxEdges)
		case "max_nodes":
			a.Scan(t, 0, &cfg.MaxNodes)
		case "forget_after":
			cfg.ForgetAfter = duration(t, a.Vals[0])
		default:
			d.Fatalf(t, "unknown setting %s", a.Key)
		}
	}
	if err := cfg.Validate(); err != nil {
		return err.Error() + "\n"
	}
	s.t = New(cfg)
	return ""
}

func (s *story) batch(t *testing.T, at time.Duration, input string) {
	t.Helper()
	s.batchOf(t, at, input, func(*telemetry.Batch) {})
}

// batchOf has the batch changed before it is consumed.
func (s *story) batchOf(t *testing.T, at time.Duration, input string, change func(*telemetry.Batch)) {
	t.Helper()
	b := telemetry.NewBatch()
	b.Received = storyStart + int64(at)
	resources := map[string]uint32{}
	for line := range strings.Lines(input) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		f := map[string]string{}
		for _, w := range words[1:] {
			k, v, _ := strings.Cut(w, "=")
			f[k] = v
		}
		n := 1
		if v := take(f, "times"); v != "" {
			n = number(t, v)
		}
		for i := range n {
			g := map[string]string{}
			for k, v := range f {
				if n > 1 && (k == "trace" || k == "reqid") {
					v += strconv.Itoa(i)
				}
				g[k] = v
			}
			switch words[0] {
			case "span":
				addSpan(t, b, resources, g)
			case "log":
				addLog(t, b, resources, g)
			default:
				t.Fatalf("unknown line %q", line)
			}
		}
	}
	change(b)
	s.position++
	s.observe(s.t.Consume(telemetry.Entry{Position: s.position, Batch: b}))
}

// edgesText publishes and prints the edges.
func edgesText(t *Topology) string {
	g := fresh(t)
	var sb strings.Builder
	for _, e := range g.Edges {
		fmt.Fprintf(&sb, "%s %d", e.ID, e.Totals.Requests)
		if e.Totals.Errors > 0 {
			fmt.Fprintf(&sb, " errors=%d", e.Totals.Errors)
		}
		if e.Totals.Throttled > 0 {
			fmt.Fprintf(&sb, " throttled=%d", e.Totals.Throttled)
		}
		fmt.Fprintf(&sb, " (spans %d/%d logs %d/%d)", e.Witnesses.ClientSpan, e.Witnesses.ServerSpan, e.Witnesses.ClientLog, e.Witnesses.ServerLog)
		if e.MTLS >= 0 {
			fmt.Fprintf(&sb, " mtls=%v", e.MTLS)
		}
		if w := e.Windows["10s"]; w.P50 != nil {
			fmt.Fprintf(&sb, " p50=%vms", *w.P50)
		}
		for _, r := range e.ThrottledBy {
			fmt.Fprintf(&sb, " by=%s:%v", r.Rule, r.Rate)
		}
		fmt.Fprintf(&sb, " %s\n", e.Health)
	}
	return sb.String()
}

func judgedText(t *Topology) string {
	g := fresh(t)
	var sb strings.Builder
	fmt.Fprintf(&sb, "culprits: %s\n", strings.Join(g.Culprits, " "))
	say := func(id string, j *telemetry.Judgement) {
		if j.Kind != telemetry.AilmentNone {
			fmt.Fprintf(&sb, "%s: %s because=%q since=%v score=%v: %s\n", id, j.Kind, j.Because, time.Duration(j.Since-storyStart), j.Score, j.Says)
		}
	}
	for i := range g.Nodes {
		say(g.Nodes[i].ID, &g.Nodes[i].Judgement)
	}
	for i := range g.Edges {
		say(g.Edges[i].ID, &g.Edges[i].Judgement)
	}
	return sb.String()
}

func nodesText(t *Topology) string {
	g := fresh(t)
	var sb strings.Builder
	for _, n := range g.Nodes {
		fmt.Fprintf(&sb, "%s %s", n.ID, n.Kind)
		if n.System != "" {
			fmt.Fprintf(&sb, " system=%s", n.System)
		}
		if len(n.Versions) > 0 {
			fmt.Fprintf(&sb, " versions=%s", strings.Join(n.Versions, ","))
		}
		if r := n.Windows["1m"].Rate; r > 0 {
			fmt.Fprintf(&sb, " inbound=%v/s", r)
		}
		fmt.Fprintf(&sb, " %s\n", n.Health)
	}
	return sb.String()
}

// fresh publishes whatever is due now.
func fresh(t *Topology) *telemetry.Graph {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pub.last, t.pub.changed = 0, true
	t.publish()
	return t.Snapshot()
}

func (s *story) throttled(t *testing.T, at time.Duration, input string) string {
	t.Helper()
	var entries []ThrottledBy
	for line := range strings.Lines(input) {
		w := strings.Fields(line)
		rate, err := strconv.ParseFloat(w[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		e := ThrottledBy{Source: w[0], Target: w[1], Rule: w[2], Rate: rate}
		if e.Source == "-" {
			e.Source = ""
		}
		entries = append(entries, e)
	}
	s.t.SetThrottledBy(storyStart+int64(at), entries)
	return ""
}

func statsText(s Stats) string {
	var sb strings.Builder
	for _, c := range []struct {
		name string
		n    uint64
	}{
		{"paired", s.Paired},
		{"lone", s.Lone},
		{"void", s.Void},
		{"early", s.Early},
		{"observations", s.Observations},
		{"pending", uint64(s.Pending)},
		{"duplicates", s.LeftOut.Duplicates},
		{"proxy calls", s.LeftOut.ProxyCalls},
		{"overflow edges", s.Dropped.Edges},
		{"overflow nodes", s.Dropped.Nodes},
		{"variants", s.Dropped.Variants},
		{"throttlers", s.Dropped.Throttlers},
	} {
		if c.n > 0 {
			fmt.Fprintf(&sb, "%s=%d\n", c.name, c.n)
		}
	}
	return sb.String()
}
