package query_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestCriticalPathStories reads traces as tables and shows their critical paths.
//
//	path                    of the whole trace
//	path of=cart/GET_cart   of each outermost span of that service and name
//
// Each line of the input is a span: id, parent or -, service or service@instance, kind, start and duration in milliseconds, name. The answer lists the steps in order
// (from, to, whose), and then what each operation has of them.
func TestCriticalPathStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/criticalpath", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			tr := readTrace(t, d.Input)
			paths := []query.Path{tr.CriticalPath()}
			if d.HasArg("of") {
				var of string
				d.ScanArgs(t, "of", &of)
				paths = tr.CriticalPaths(func(s *telemetry.Span) bool {
					return tr.Service(s)+"/"+strings.ReplaceAll(tr.Batch.Str(s.Name), " ", "_") == of
				})
			}
			var out strings.Builder
			var sums query.PathSums
			for _, p := range paths {
				if p.Root < 0 {
					return "no path\n"
				}
				sums.Add(tr, &p)
				for _, step := range p.Steps {
					from, to := (step.From-p.Steps[0].From)/1e6, (step.To-p.Steps[0].From)/1e6
					s := &tr.Batch.Spans[step.Span]
					fmt.Fprintf(&out, "%4d - %-4d %s %s %s\n", from, to, string(s.SpanID[:1]), tr.Service(s), tr.Batch.Str(s.Name))
				}
			}
			for _, o := range sums.Shares() {
				fmt.Fprintf(&out, "%3d ms of %d  %s %s\n", o.Self/1e6, sums.Duration/1e6, o.Service, o.Operation)
			}
			return out.String()
		})
	})
}

func readTrace(t *testing.T, table string) *query.Trace {
	t.Helper()
	b := telemetry.NewBatch()
	kinds := map[string]telemetry.SpanKind{"internal": telemetry.KindInternal, "server": telemetry.KindServer, "client": telemetry.KindClient, "producer": telemetry.KindProducer, "consumer": telemetry.KindConsumer}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 7 {
			t.Fatalf("%q has no seven columns", line)
		}
		kind, ok := kinds[f[3]]
		start, err := strconv.ParseInt(f[4], 10, 64)
		length, err2 := strconv.ParseInt(f[5], 10, 64)
		if !ok || err != nil || err2 != nil {
			t.Fatalf("%q is no span: %v %v", line, err, err2)
		}
		put(b, f[0], f[1], f[2], kind, noon.UnixNano()+start*1e6, length*1e6, strings.Join(f[6:], " "))
	}
	return query.NewTrace(telemetry.TraceID{15: 1}, b)
}

// put adds a span; its id is the first letter of id.
func put(b *telemetry.Batch, id, parent, on string, kind telemetry.SpanKind, start, length int64, name string) {
	service, instance, _ := strings.Cut(on, "@")
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(service), Instance: b.InternString(instance)}})
	s := telemetry.Span{SpanID: telemetry.SpanID{id[0]}, Kind: kind, Start: start, Duration: length, Name: b.InternString(name), Resource: uint32(len(b.Resources) - 1)}
	if parent != "-" {
		s.ParentID = telemetry.SpanID{parent[0]}
	}
	b.Spans = append(b.Spans, s)
}

// steps is a path as text: from, to and id of each step.
func steps(tr *query.Trace, p *query.Path) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprint(s.From, "-", s.To, " ", tr.Batch.Spans[s.Span].SpanID[0]))
	}
	return out
}

// TestCriticalPathOfOneHost holds paths to their definition, read word for word, where all clocks agree.
func TestCriticalPathOfOneHost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := telemetry.NewBatch()
		n := rapid.IntRange(1, 8).Draw(t, "spans")
		for i := range n {
			parent := "-"
			if i > 0 {
				parent = string(rune('a' + rapid.IntRange(0, i-1).Draw(t, "parent")))
			}
			put(b, string(rune('a'+i)), parent, "one", telemetry.KindInternal, int64(rapid.IntRange(0, 12).Draw(t, "start")), int64(rapid.IntRange(0, 12).Draw(t, "length")), "x")
		}
		tr := query.NewTrace(telemetry.TraceID{15: 1}, b)
		p := tr.CriticalPath()
		root := &b.Spans[0]
		if p.Root != 0 || p.Duration() != root.Duration {
			t.Fatalf("the path of %d takes %d, its root %d", p.Root, p.Duration(), root.Duration)
		}
		var want []string
		type span struct{ id, from, to int64 }
		var walk func(s span) // puts what s has of the path, the last first
		walk = func(s span) {
			at := s.to
			var children []span
			for i := range b.Spans {
				if c := &b.Spans[i]; c.ParentID == (telemetry.SpanID{byte(s.id)}) && c.Start+c.Duration <= s.to {
					children = append(children, span{int64(c.SpanID[0]), max(c.Start, s.from), max(c.Start+c.Duration, s.from)})
				}
			}
			for len(children) > 0 { // the one that ended last before at
				last := -1
				for i, c := range children {
					if c.to <= at && (last < 0 || c.to > children[last].to || c.to == children[last].to && c.from < children[last].from) {
						last = i
					}
				}
				if last < 0 {
					break
				}
				c := children[last]
				children = slices.Delete(children, last, last+1)
				want = append(want, fmt.Sprint(c.to, "-", at, " ", s.id))
				walk(c)
				at = c.from
			}
			want = append(want, fmt.Sprint(s.from, "-", at, " ", s.id))
		}
		walk(span{'a', root.Start, root.Start + root.Duration})
		slices.Reverse(want)
		if diff := cmp.Diff(times(want), times(steps(tr, &p))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// times is steps as who has each moment, in which steps of no length do not show.
func times(steps []string) []string {
	var out []string
	for _, s := range steps {
		var from, to, id int64
		if _, err := fmt.Sscanf(s, "%d-%d %d", &from, &to, &id); err != nil {
			panic(err)
		}
		for ; from < to; from++ {
			out = append(out, fmt.Sprint(from, " ", id))
		}
	}
	return out
}

// A skewed is a trace under construction: calls between hosts that each have a clock.
type skewed struct {
	exact, off *telemetry.Batch // by one clock, and by each host's own
	clock      map[string]int64
	next       byte
}

// call adds a client's span on one host and the server's on another, and what that calls in turn.
func (k *skewed) call(t *rapid.T, parent, from string, lo, hi int64, depth int) {
	for range rapid.IntRange(0, 2).Draw(t, "calls") {
		if hi-lo < 4 || depth == 0 || k.next > 'a'+20 {
			return
		}
		start := rapid.Int64Range(lo, hi-3).Draw(t, "start")
		end := rapid.Int64Range(start+2, hi).Draw(t, "end")
		client := k.span(parent, from, telemetry.KindClient, start, end)
		on := string(rune('A' + rapid.IntRange(0, 3).Draw(t, "on")))
		if on == from {
			continue
		}
		start = rapid.Int64Range(start, end-1).Draw(t, "arrives")
		end = rapid.Int64Range(start, end).Draw(t, "answers")
		k.call(t, k.span(client, on, telemetry.KindServer, start, end), on, start, end, depth-1)
	}
}

func (k *skewed) span(parent, on string, kind telemetry.SpanKind, start, end int64) (id string) {
	id = string(rune(k.next))
	k.next++
	put(k.exact, id, parent, on, kind, start*1e6, (end-start)*1e6, "x")
	put(k.off, id, parent, on, kind, start*1e6+k.clock[on], (end-start)*1e6, "x")
	return id
}

// TestCriticalPathOfSkewedHosts: clocks that are off by seconds do not change how much of the path each span has. (When within its caller a server
// worked is not known then, and does not matter.)
func TestCriticalPathOfSkewedHosts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := &skewed{exact: telemetry.NewBatch(), off: telemetry.NewBatch(), clock: map[string]int64{}, next: 'a'}
		for _, on := range []string{"B", "C", "D"} { // A's, the root's, is right
			k.clock[on] = rapid.Int64Range(-5000, 5000).Draw(t, "clock") * 1e6
		}
		k.call(t, k.span("-", "A", telemetry.KindServer, 0, 100), "A", 0, 100, 3)
		self := func(b *telemetry.Batch) map[byte]int64 {
			tr := query.NewTrace(telemetry.TraceID{15: 1}, b)
			p, out := tr.CriticalPath(), map[byte]int64{}
			for _, s := range p.Steps {
				out[tr.Batch.Spans[s.Span].SpanID[0]] += s.To - s.From
			}
			return out
		}
		if diff := cmp.Diff(self(k.exact), self(k.off)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestCriticalPathOfAnything: whatever is sent, steps follow each other from the root's start to its end and are the root's or of those below it.
func TestCriticalPathOfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := telemetry.NewBatch()
		letters := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
		for range rapid.IntRange(0, 9).Draw(t, "spans") { // ids come twice, parents are missing or go in circles
			parent := letters.Draw(t, "parent")
			if rapid.IntRange(0, 3).Draw(t, "root") == 0 {
				parent = "-"
			}
			put(b, letters.Draw(t, "id"), parent, rapid.SampledFrom([]string{"A", "A@1", "B", "C"}).Draw(t, "on"), telemetry.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")),
				int64(rapid.IntRange(0, 30).Draw(t, "start")), int64(rapid.IntRange(0, 20).Draw(t, "length")), letters.Draw(t, "name"))
		}
		tr := query.NewTrace(telemetry.TraceID{15: 1}, b)
		name := letters.Draw(t, "of")
		paths := append([]query.Path{tr.CriticalPath()}, tr.CriticalPaths(func(s *telemetry.Span) bool { return b.Str(s.Name) == name })...)
		var sums query.PathSums
		for _, p := range paths {
			if p.Root < 0 {
				if len(b.Spans) > 0 {
					t.Fatal("a trace of spans has no path")
				}
				continue
			}
			sums.Add(tr, &p)
			if p.Duration() != b.Spans[p.Root].Duration {
				t.Fatalf("the path takes %d, its root %d", p.Duration(), b.Spans[p.Root].Duration)
			}
			for i, s := range p.Steps {
				if i == 0 && s.From != b.Spans[p.Root].Start || i > 0 && s.From != p.Steps[i-1].To || s.To <= s.From {
					t.Fatalf("step %d of %v", i, p.Steps)
				}
				if d := b.Spans[s.Span].Duration; s.To-s.From > d {
					t.Fatalf("a step of %d in a span of %d", s.To-s.From, d)
				}
			}
		}
		var self int64
		for _, o := range sums.Shares() {
			self += o.Self
			if o.Paths < 1 || o.Paths > sums.Paths {
				t.Fatalf("%+v of %d paths", o, sums.Paths)
			}
		}
		if self != sums.Duration {
			t.Fatalf("shares add up to %d, paths to %d", self, sums.Duration)
		}
	})
}

// A chain of calls is as deep as it is long.
func TestCriticalPathIsNotDeep(t *testing.T) {
	t.Parallel()
	const n = 100_000
	b := telemetry.NewBatch()
	b.Resources = append(b.Resources, telemetry.Resource{})
	id := func(i int) telemetry.SpanID {
		return telemetry.SpanID{1, 0, 0, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	}
	for i := range n {
		s := telemetry.Span{SpanID: id(i), Start: int64(i), Duration: int64(2*n - 2*i)}
		if i > 0 {
			s.ParentID = id(i - 1)
		}
		b.Spans = append(b.Spans, s)
	}
	p := query.NewTrace(telemetry.TraceID{15: 1}, b).CriticalPath()
	if p.Duration() != 2*n || len(p.Steps) != 2*n-1 {
		t.Errorf("a path of %d steps and %d ns", len(p.Steps), p.Duration())
	}
	if b.Spans[p.Steps[n-1].Span].SpanID != id(n-1) {
		t.Errorf("in the middle is span %x", b.Spans[p.Steps[n-1].Span].SpanID)
	}
}
