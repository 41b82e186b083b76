package views

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestStories runs the files of testdata: what a mesh reports, and what PromQL
// then answers. Commands:
//
//	observe from=ns/name to=ns/name [from-version= to-version= side= evidence= code= outcome= tls= alone= taken= protocol= to-kind= flags= n= ms=]
//	span service= name= kind= status= n= ms=
//	step 5s [times=N]       time passes, then a flush
//	query [at=-1m]          each line is an expression
func TestStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		m := newMesh(t, t.TempDir())
		defer m.close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			m.t = t
			switch d.Cmd {
			case "observe":
				m.observe(t, d)
			case "span":
				m.spanOf(t, d)
			case "step":
				times := 1
				if d.HasArg("times") {
					d.ScanArgs(t, "times", &times)
				}
				every, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				for range times {
					m.step(every)
				}
			case "query":
				return m.queries(d)
			default:
				d.Fatalf(t, "no such command")
			}
			return ""
		})
	})
}

func (m *mesh) queries(d *datadriven.TestData) string {
	var sb strings.Builder
	for expr := range strings.Lines(d.Input) {
		expr = strings.TrimSpace(expr)
		v, err := m.instant(expr)
		if err != nil {
			fmt.Fprintf(&sb, "%s\n  error: %v\n", expr, err)
			continue
		}
		fmt.Fprintf(&sb, "%s\n", expr)
		lines := make([]string, 0, len(v))
		for _, s := range v {
			lines = append(lines, fmt.Sprintf("  %s %.6g", s.Metric, s.F))
		}
		slices.Sort(lines)
		if len(lines) == 0 {
			lines = []string{"  (nothing)"}
		}
		sb.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return sb.String()
}

func (m *mesh) observe(t *testing.T, d *datadriven.TestData) {
	e := telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
	o := telemetry.Observation{At: m.now.UnixNano(), Code: 200, Duration: 10e6}
	n := 1
	for _, a := range d.CmdArgs {
		v := a.Vals[0]
		switch a.Key {
		case "from", "to":
			ns, name, _ := strings.Cut(v, "/")
			end := &e.Source
			if a.Key == "to" {
				end = &e.Target
			}
			end.Node = telemetry.Node{Kind: telemetry.NodeService, Namespace: ns, Name: name}
		case "from-version":
			e.Source.Version = v
		case "to-version":
			e.Target.Version = v
		case "to-kind":
			e.Target.Node.Kind = named(t, d, v, telemetry.NodeClient)
		case "from-kind":
			e.Source.Node.Kind = named(t, d, v, telemetry.NodeClient)
		case "side":
			o.Side = named(t, d, v, telemetry.SideServer)
		case "evidence":
			o.Evidence = named(t, d, v, telemetry.EvidenceLog)
		case "outcome":
			o.Outcome = named(t, d, v, telemetry.OutcomeThrottled)
		case "alone":
			o.Alone = v == "true"
		case "taken":
			o.Taken = v == "true"
		case "tls":
			o.TLS = named(t, d, v, telemetry.TLSMutual)
		case "protocol":
			e.Protocol = named(t, d, v, telemetry.ProtocolMessaging)
		case "flags":
			o.Response = telemetry.ParseResponseFlags(v)
		case "code":
			var code int
			d.ScanArgs(t, a.Key, &code)
			o.Code = int32(code)
		case "n":
			d.ScanArgs(t, a.Key, &n)
		case "ms":
			var ms int64
			d.ScanArgs(t, a.Key, &ms)
			o.Duration = ms * 1e6
		default:
			d.Fatalf(t, "no such argument: %s", a.Key)
		}
	}
	o.Edge = m.edge(e)
	for range n {
		m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{o}})
	}
}

func (m *mesh) spanOf(t *testing.T, d *datadriven.TestData) {
	kind, status, n, ms := telemetry.KindServer, telemetry.StatusUnset, 1, 10
	var service, name string
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "service":
			service = a.Vals[0]
		case "name":
			name = strings.ReplaceAll(a.Vals[0], "+", " ")
		case "kind":
			kind = named(t, d, a.Vals[0], telemetry.KindConsumer)
		case "status":
			status = named(t, d, a.Vals[0], telemetry.StatusError)
		case "n":
			d.ScanArgs(t, a.Key, &n)
		case "ms":
			d.ScanArgs(t, a.Key, &ms)
		default:
			d.Fatalf(t, "no such argument: %s", a.Key)
		}
	}
	m.span(service, name, kind, status, n, time.Duration(ms)*time.Millisecond)
}

// named finds the constant of a small enum by its name.
func named[E interface {
	~uint8
	fmt.Stringer
}](t *testing.T, d *datadriven.TestData, name string, last E) E {
	for e := E(0); e <= last; e++ {
		if e.String() == name {
			return e
		}
	}
	d.Fatalf(t, "no such value: %s", name)
	return 0
}
