package block

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"github.com/cockroachdb/datadriven"
)

// TestStories runs what testdata tells: spans come, heads are sealed, and searches are
// answered. Times are milliseconds after the stories' beginning.
func TestStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		dir := t.TempDir()
		cfg := DefaultConfig()
		cfg.SearchConcurrency = 1 // so that it is certain which blocks are opened
		s := openTest(t, dir, cfg)
		defer func() { closeStore(t, s) }()
		var position telemetry.Position
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "spans":
				position++
				b := telemetry.NewBatch()
				b.Received = baseTime
				for _, line := range strings.Split(d.Input, "\n") {
					storySpan(t, b, line)
				}
				consume(t, s, telemetry.Entry{Position: position, Batch: b})
				return ""
			case "seal":
				seal(t, s)
				st := s.Stats()
				return fmt.Sprintf("blocks=%d head=%d applied=%d\n", st.Blocks, st.HeadSpans, st.Applied)
			case "reopen":
				closeStore(t, s)
				s = openTest(t, dir, cfg)
				return fmt.Sprintf("spans=%d applied=%d\n", s.Stats().Spans, s.Applied())
			case "search":
				return storySearch(t, s, d)
			case "trace":
				return storyTrace(t, s, d.CmdArgs[0].Key)
			case "services":
				return storyServices(t, s)
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
				return ""
			}
		})
	})
}

// storySpan reads a line: trace span parent service name start+duration kind status and
// attributes key=value, resource.key=value.
func storySpan(t *testing.T, b *telemetry.Batch, line string) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) < 8 {
		t.Fatalf("span %q: too few words", line)
	}
	s := telemetry.Span{Name: b.InternString(f[4]), Code: -1}
	var err error
	if s.TraceID, err = telemetry.ParseTraceID(f[0]); err != nil {
		t.Fatal(err)
	}
	if s.SpanID, err = telemetry.ParseSpanID(f[1]); err != nil {
		t.Fatal(err)
	}
	if f[2] != "-" {
		if s.ParentID, err = telemetry.ParseSpanID(f[2]); err != nil {
			t.Fatal(err)
		}
	}
	var start, duration int64
	if _, err := fmt.Sscanf(f[5], "%d+%d", &start, &duration); err != nil {
		t.Fatalf("span %q: %v", line, err)
	}
	s.Start, s.Duration = baseTime+start*1e6, duration*1e6
	for k, name := range spanKindNames() {
		if name == f[6] {
			s.Kind = telemetry.SpanKind(k)
		}
	}
	for st, name := range statusNames() {
		if name == f[7] {
			s.Status = telemetry.Status(st)
		}
	}
	var own, shared []telemetry.Attr
	for _, kv := range f[8:] {
		k, v, _ := strings.Cut(kv, "=")
		a := telemetry.Attr{Value: uint64(b.InternString(v))}
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			a = telemetry.Attr{Type: telemetry.AttrInt, Value: uint64(n)}
		}
		if key, ok := strings.CutPrefix(k, "resource."); ok {
			a.Key = b.InternString(key)
			shared = append(shared, a)
			continue
		}
		a.Key = b.InternString(k)
		own = append(own, a)
	}
	put := func(as []telemetry.Attr) telemetry.Range {
		at := uint32(len(b.Attrs))
		b.Attrs = append(b.Attrs, as...)
		return telemetry.Range{Start: at, Len: uint32(len(as))}
	}
	s.Attrs = put(own)
	s.Resource = uint32(len(b.Resources))
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(f[3])}, Attrs: put(shared)})
	b.Spans = append(b.Spans, s)
}

func storySearch(t *testing.T, s *Store, d *datadriven.TestData) string {
	t.Helper()
	q := telemetry.SpanQuery{Limit: 20}
	var parts []filter.Filter
	for _, a := range d.CmdArgs {
		v := ""
		if len(a.Vals) > 0 {
			v = a.Vals[0]
		}
		ms := func() int64 {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				d.Fatalf(t, "%s: %v", a.Key, err)
			}
			return n
		}
		switch a.Key {
		case "service":
			parts = append(parts, textIs(filter.Service, v))
		case "operation":
			parts = append(parts, textIs(filter.Name, v))
		case "kind":
			parts = append(parts, textIs(filter.Kind, v))
		case "status":
			parts = append(parts, textIs(filter.Status, v))
		case "min":
			parts = append(parts, lasts(filter.GreaterEqual, time.Duration(ms())*time.Millisecond))
		case "max":
			parts = append(parts, lasts(filter.LessEqual, time.Duration(ms())*time.Millisecond))
		case "from":
			q.From = baseTime + ms()*1e6
		case "to":
			q.To = baseTime + ms()*1e6
		case "limit":
			q.Limit = int(ms())
		default:
			parts = append(parts, attrIs(strings.TrimPrefix(a.Key, "@"), v))
		}
	}
	q.Filter = filter.All(parts...)
	found, stats, err := s.Search(context.Background(), q)
	if err != nil {
		return err.Error() + "\n"
	}
	var sb strings.Builder
	for _, f := range found {
		fmt.Fprintf(&sb, "%x start=%d duration=%d root=%s/%s spans=%d errors=%d services=%v\n", f.TraceID[15], (f.Start-baseTime)/1e6, f.Duration/1e6,
			f.RootService, f.RootOperation, f.Spans, f.Errors, f.Services)
	}
	fmt.Fprintf(&sb, "looked at %d spans, %d blocks\n", stats.Spans, stats.Blocks)
	return sb.String()
}

func storyTrace(t *testing.T, s *Store, arg string) string {
	t.Helper()
	id, err := telemetry.ParseTraceID(arg)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := s.Trace(context.Background(), id)
	if errors.Is(err, ErrNotFound) {
		return "not found\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	var sb strings.Builder
	for _, c := range canonSpans(b) {
		fmt.Fprintf(&sb, "%x parent=%x %s %s %d+%d", c.Span.SpanID[7], c.Span.ParentID[7], c.Identity[3], c.Name, (c.Span.Start-baseTime)/1e6, c.Span.Duration/1e6)
		for _, a := range c.Attrs {
			fmt.Fprintf(&sb, " %s=%s", a.Key, a.Value)
		}
		sb.WriteByte('\n')
	}
	return sb.String()
}

func storyServices(t *testing.T, s *Store) string {
	t.Helper()
	list, err := s.Services(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var sb strings.Builder
	for _, e := range list {
		fmt.Fprintf(&sb, "%s %v\n", e.Name, e.Operations)
	}
	return sb.String()
}
