package pair

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestHalfIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Half{}); n != 64 {
		t.Errorf("a half takes %d bytes, want 64", n)
	}
}

func TestHalfFields(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var h Half
		w := telemetry.Witness(rapid.IntRange(0, 3).Draw(rt, "witness"))
		o := telemetry.Outcome(rapid.IntRange(0, 2).Draw(rt, "outcome"))
		s := telemetry.TLS(rapid.IntRange(0, 3).Draw(rt, "tls"))
		p := telemetry.Protocol(rapid.IntRange(0, 5).Draw(rt, "protocol"))
		f := rapid.SampledFrom([]Flags{0, Emitted, Void, Paired, Named, Paired | Emitted}).Draw(rt, "flags")
		h.Set(f)
		h.SetWhat(w, o, s, p)
		took := rapid.Int64Range(0, maxTook).Draw(rt, "took")
		tick := rapid.Int64Range(0, 1<<40).Draw(rt, "tick")
		age := rapid.Int64Range(0, MaxAge).Draw(rt, "age")
		h.SetTook(took, tick)
		h.Response |= 1<<28 - 1
		weight := telemetry.Weight(rapid.IntRange(0, int(telemetry.HeaviestWeight)).Draw(rt, "weight"))
		h.SetWeight(weight)
		place := rapid.Uint32Range(0, placeMask).Draw(rt, "place")
		h.SetRoute(Route(place))
		h.SetMet(w == telemetry.ClientSpan)
		h.SetWeight(telemetry.HeaviestWeight)
		h.SetWeight(weight)
		if h.Weight() != weight || h.Reporter() != Endpoint(place) || h.ResponseFlags() != 1<<28-1 || h.Met() != (w == telemetry.ClientSpan) {
			rt.Fatalf("half %+v of weight %d at %d", h, weight, place)
		}
		if weight != 0 && w > telemetry.ServerSpan {
			if h.Valid() {
				rt.Fatal("a log entry was sampled")
			}
			return
		}
		if h.Witness() != w || h.Outcome() != o || h.TLS() != s || h.Protocol() != p || !h.Has(f) || !h.Valid() {
			rt.Fatalf("half %+v", h)
		}
		if h.Duration() != took || h.Age(tick+age) != age {
			rt.Fatalf("took %d, age %d", h.Duration(), h.Age(tick+age))
		}
	})
}

func span(n uint64) (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// TestTableModel pushes, pops and looks up at random, against a plain list.
func TestTableModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		table := New(1, 7)
		table.limit = 2048 // grows once
		// Refs begin anew after 2^32 halves; be near that.
		table.head = Ref(rapid.SampledFrom([]uint32{1, 1<<32 - 3, 1<<32 - 1500}).Draw(rt, "first"))
		table.tail = table.head
		var list []Half
		trace := telemetry.TraceID{1}
		key := func(s telemetry.SpanID) uint64 { return table.Key(&trace, s) }
		next := uint64(100)
		push := func(h Half) {
			for table.Full() {
				table.Pop()
				list = list[1:]
			}
			var own, refers uint64
			if !h.Span.IsZero() {
				own = key(h.Span)
			}
			if !h.Refers.IsZero() {
				refers = key(h.Refers)
			}
			table.Push(&h, own, refers)
			list = append(list, h)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(rt *rapid.T) {
				push(Half{Trace: trace, Span: span(rapid.Uint64Range(0, 20).Draw(rt, "span")), Refers: span(rapid.Uint64Range(0, 20).Draw(rt, "refers"))})
			},
			"push many": func(rt *rapid.T) {
				for range rapid.IntRange(1, 1500).Draw(rt, "many") {
					next++
					push(Half{Trace: trace, Span: span(next), Refers: span(next / 3)})
				}
			},
			"pop": func(rt *rapid.T) {
				for range min(len(list), rapid.IntRange(1, 50).Draw(rt, "pops")) {
					if got := table.At(table.Oldest()); got.Span != list[0].Span || got.Refers != list[0].Refers {
						rt.Fatalf("oldest is %x", got.Span)
					}
					table.Pop()
					list = list[1:]
				}
			},
			"save": func(rt *rapid.T) {
				b := table.Append(nil, func(r Route) Route { return r }, func(e Endpoint) Endpoint { return e })
				table = New(1, 8)
				table.limit = 2048
				if err := table.Restore(b, func(*Half) error { return nil }, func(*Half) { rt.Fatal("spilled") }); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				owners := map[telemetry.SpanID]*Half{}
				referring := map[telemetry.SpanID][]telemetry.SpanID{}
				for i := range list {
					owners[list[i].Span] = &list[i]
					if v := binary.BigEndian.Uint64(list[i].Refers[:]); v <= 20 {
						referring[list[i].Refers] = append([]telemetry.SpanID{list[i].Span}, referring[list[i].Refers]...)
					}
				}
				for n := range uint64(20) {
					id := span(n + 1)
					owner, refers := owners[id], referring[id]
					refers = refers[:min(len(refers), MaxKin)]
					o, first := table.Look(key(id))
					if (o != 0) != (owner != nil) || o != 0 && table.At(o).Refers != owner.Refers {
						rt.Fatalf("owner of %d", n)
					}
					var got []telemetry.SpanID
					for r, h := range table.Kin(first) {
						if h != table.At(r) {
							rt.Fatalf("half %d of the kin of %d is another", r, n)
						}
						got = append(got, h.Span)
					}
					if diff := cmp.Diff(refers, got); diff != "" {
						rt.Fatalf("those who refer to %d (-want +got):\n%s", n, diff)
					}
				}
				used := 0
				for _, s := range table.slots {
					if s.key != 0 {
						used++
					}
				}
				ids := map[telemetry.SpanID]bool{}
				for _, h := range list {
					if !h.Refers.IsZero() {
						ids[h.Refers] = true
					}
				}
				for _, h := range list {
					if !h.Span.IsZero() {
						ids[h.Span] = true
					}
				}
				if used != table.used || used != len(ids) {
					rt.Fatalf("%d slots are used, %d counted, %d ids", used, table.used, len(ids))
				}
			},
		})
	})
}

func TestRestoreSpillsTheOldest(t *testing.T) {
	t.Parallel()
	big := New(1<<12, 1)
	for i := range uint64(2000) {
		h := Half{Trace: telemetry.TraceID{1}, Span: span(i + 1)}
		big.Push(&h, big.Key(&h.Trace, h.Span), 0)
	}
	small := New(1<<10, 1)
	var spilled []telemetry.SpanID
	err := small.Restore(big.Append(nil, func(Route) Route { return 0 }, nil), func(*Half) error { return nil },
		func(h *Half) { spilled = append(spilled, h.Span) })
	if err != nil || len(spilled) != 2000-1023 || spilled[0] != span(1) || small.Len() != 1023 {
		t.Errorf("error %v, spilled %d, kept %d", err, len(spilled), small.Len())
	}
	if err := small.Restore(make([]byte, 7), nil, nil); err == nil {
		t.Error("a piece of a half was read")
	}
}
