package block

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"golang.org/x/sync/errgroup"
)

// summary gathers what a search shows of a trace.
type summary struct {
	seen           map[lightSpan]struct{}
	start, end     int64
	errors         int
	services       map[string]int
	root, earliest lightSpan
	hasRoot        bool
}

// lightSpan is of a span what a summary reads. Two spans that do not differ in it
// are counted once, as they are when a sender repeats itself.
type lightSpan struct {
	id              telemetry.SpanID
	start, duration int64
	service, name   string
	kind, status    uint8
	root            bool
}

func (s *summary) add(l lightSpan) {
	if s.seen == nil {
		s.seen, s.services = map[lightSpan]struct{}{}, map[string]int{}
		s.start, s.end = math.MaxInt64, math.MinInt64
		s.earliest = l
	}
	if _, ok := s.seen[l]; ok {
		return
	}
	s.seen[l] = struct{}{}
	s.start, s.end = min(s.start, l.start), max(s.end, l.start+l.duration)
	s.services[l.service]++
	if l.status == uint8(telemetry.StatusError) {
		s.errors++
	}
	if l.before(&s.earliest) {
		s.earliest = l
	}
	if l.root && (!s.hasRoot || l.before(&s.root)) {
		s.root, s.hasRoot = l, true
	}
}

// before puts spans in an order that does not depend on where they are stored.
func (l *lightSpan) before(m *lightSpan) bool {
	return cmp.Or(cmp.Compare(l.start, m.start), slices.Compare(l.id[:], m.id[:]), cmp.Compare(l.kind, m.kind), cmp.Compare(l.service, m.service), cmp.Compare(l.name, m.name)) < 0
}

func (s *summary) finish(id telemetry.TraceID) telemetry.TraceSummary {
	if s.seen == nil {
		return telemetry.TraceSummary{TraceID: id}
	}
	t := telemetry.TraceSummary{
		TraceID: id, Start: s.start, Duration: s.end - s.start, RootService: s.earliest.service,
		Spans: len(s.seen), Errors: s.errors,
	}
	if s.hasRoot {
		t.RootService, t.RootOperation = s.root.service, s.root.name
	}
	for name, n := range s.services {
		t.Services = append(t.Services, telemetry.ServiceSpans{Name: name, Spans: n})
	}
	slices.SortFunc(t.Services, func(a, b telemetry.ServiceSpans) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), cmp.Compare(a.Name, b.Name))
	})
	return t
}

func (s *summary) addHead(v *headView, row uint32) {
	c, i := v.spans.chunks[row/chunkRows], row%chunkRows
	s.add(lightSpan{
		id: c.span[i], start: c.start[i], duration: c.duration[i], kind: c.bits[i] & 15, status: c.bits[i] >> 4,
		root: c.parent[i].IsZero(), name: string(v.strings.bytes(c.name[i])),
		service: string(v.strings.bytes(v.resources[c.resource[i]].identity[colService-colCluster])),
	})
}

// summaries gathers traces out of all heads and blocks.
func (r *search) summaries(ctx context.Context, traces []found) (map[telemetry.TraceID]*summary, error) {
	all := &gathering{store: r.store, stop: r.stop, traces: make(map[telemetry.TraceID]*summary, len(traces))}
	ids := make([]telemetry.TraceID, len(traces))
	for i, f := range traces {
		ids[i] = f.id
		all.traces[f.id] = &summary{}
	}
	slices.SortFunc(ids, func(a, b telemetry.TraceID) int { return slices.Compare(a[:], b[:]) })
	for i, h := range r.sn.heads {
		for _, id := range ids {
			for _, row := range h.traceRows(&h.spans, id) {
				if int(row) < r.views[i].spans.n {
					all.traces[id].addHead(&r.views[i], row)
				}
			}
		}
	}
	g, going := errgroup.WithContext(ctx)
	g.SetLimit(ask.Of(ctx).Parallel(r.store.cfg.SearchConcurrency))
	for _, b := range r.sn.blocks {
		held := b.held(ids)
		if len(held) == 0 {
			continue
		}
		if going.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := all.block(going, b, held); err != nil {
				if going.Err() != nil {
					return going.Err()
				}
				if stopped := r.stopped(); stopped != nil {
					return stopped
				}
				r.lacks(r.store.damage(b, err))
			}
			return nil
		})
	}
	return all.traces, cmp.Or(g.Wait(), ctx.Err())
}

// held is those of the traces that a block may have spans of, by its filter.
func (b *blockRef) held(ids []telemetry.TraceID) []telemetry.TraceID {
	if b.meta.spans == 0 {
		return nil
	}
	var out []telemetry.TraceID
	for i := range ids {
		if b.filters.mayHold(spansFile, &ids[i]) {
			out = append(out, ids[i])
		}
	}
	return out
}

// gathering is summaries while they grow.
type gathering struct {
	store  *Store
	stop   func(error) error
	mu     sync.Mutex
	traces map[telemetry.TraceID]*summary
}

// block adds the spans that a block has of the traces, which come in order.
func (g *gathering) block(ctx context.Context, b *blockRef, ids []telemetry.TraceID) (err error) {
	defer guard(&err)
	rd, err := g.store.read(b, spansFile, spanColumns())
	if err != nil {
		return err
	}
	defer rd.close()
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to, err := rd.find(&ids[i])
		if err != nil {
			return err
		}
		for from < to {
			p := rd.f.pageOf(from)
			first, end := rd.f.pageFirst(p), min(to, rd.f.pageFirst(p+1))
			if err := ask.Of(ctx).Yield(ctx); err != nil {
				return err
			}
			if err := ask.Of(ctx).Take(int64(end-from) * summaryBytes); err != nil {
				return g.stop(err)
			}
			spans, err := rd.lightSpans(p, from-first, end-first)
			if err != nil {
				return err
			}
			g.mu.Lock()
			for _, l := range spans {
				g.traces[ids[i]].add(l)
			}
			g.mu.Unlock()
			from = end
		}
	}
	return nil
}

// lightSpans reads rows from and below to of page p.
func (rd *reader) lightSpans(p, from, to int) ([]lightSpan, error) {
	out := make([]lightSpan, to-from)
	for i := range out {
		out[i].root = true
	}
	for _, id := range [...]int{colSpanID, colStart, colDuration, colService, colName, colKind, colStatus, colParentSpanID, colParentRow} {
		ci := rd.f.byID[id]
		if ci < 0 {
			continue
		}
		v, err := rd.load(ci, p)
		if err != nil {
			return nil, err
		}
		c := &rd.f.columns[ci]
		for i := range out {
			if pos := v.pos(from + i); pos >= 0 {
				out[i].set(c, v, pos)
			}
		}
	}
	return out, nil
}

func (l *lightSpan) set(c *fileColumn, v *pageView, pos int) {
	switch c.id {
	case colSpanID:
		l.id = telemetry.SpanID(v.bytesAt(pos))
	case colStart:
		l.start = v.intAt(pos)
	case colDuration:
		l.duration = v.intAt(pos)
	case colService:
		l.service = string(v.textAt(pos))
	case colName:
		l.name = string(v.textAt(pos))
	case colKind:
		l.kind = uint8(max(0, slices.Index(c.names, string(v.textAt(pos)))))
	case colStatus:
		l.status = uint8(max(0, slices.Index(c.names, string(v.textAt(pos)))))
	default:
		l.root = false
	}
}
