package block

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// blockOf is what the n-th of a row of blocks, a second each, has.
func blockOf(n int) *meta {
	return &meta{first: telemetry.Position(1 + 10*n), receivedMax: 1_790_000_000e9 + int64(n)*1e9}
}

func (s sightings) note(service, name string, rows int) {
	*s.of(serviceName{name: service}, operation{name, telemetry.KindServer}) += rows
}

func namesOf(entries []telemetry.ServiceEntry, service string) (names []string) {
	for _, e := range entries {
		if e.Name == service {
			for _, op := range e.Operations {
				names = append(names, op.Name)
			}
		}
	}
	return names
}

// One service names 25,000 operations: it is cut to its share, what it does in each block stays, and others,
// before and after, are listed.
func TestOneServiceTakesItsShareOnly(t *testing.T) {
	t.Parallel()
	o := newOperations()
	dropped := 0
	for n := range 3 {
		seen := sightings{}
		seen.note("before", "GET /cart", 1)
		seen.note("junk", "GET /health", 1)
		for i := range 25_000 {
			seen.note("junk", fmt.Sprintf("%d-%d", n, i), 1)
		}
		if n == 2 {
			seen.note("after", "POST /pay", 1)
		}
		_, names := o.add(seen, blockOf(n))
		dropped += names
	}
	got := o.entries()
	if len(got) != 3 || !slices.Contains(namesOf(got, "junk"), "GET /health") || len(namesOf(got, "before")) != 1 || len(namesOf(got, "after")) != 1 {
		t.Errorf("%d services, of junk %d operations", len(got), len(namesOf(got, "junk")))
	}
	if n := len(namesOf(got, "junk")); n != maxShare || dropped < 3*25_001-2*maxShare {
		t.Errorf("junk has %d operations, and %d found no room", n, dropped)
	}
}

// Each block names 30,000 services that nobody saw before. Those that live are listed all the while, one that begins in
// the middle of it from its second block on, and the limits hold.
func TestLivingServicesAreListed(t *testing.T) {
	t.Parallel()
	o := newOperations()
	for n := range 4 {
		seen := sightings{}
		for i := range 100 {
			seen.note(fmt.Sprint("living-", i), "GET /", 20)
		}
		if n > 0 {
			for i := range 30_000 {
				seen.note(fmt.Sprintf("junk-%d-%d", n, i), "GET /", 1)
			}
		}
		if n > 1 {
			seen.note("late", "GET /", 3)
		}
		services, _ := o.add(seen, blockOf(n))
		o.add(seen, blockOf(n)) // as it is when the head is asked, and then written
		if n > 0 && services < 20_000 {
			t.Errorf("%d services found no room", services)
		}
		got := o.entries()
		living := 0
		for _, e := range got {
			if strings.HasPrefix(e.Name, "living-") {
				living++
			}
		}
		if living != 100 || n > 1 && len(namesOf(got, "late")) != 1 || o.units > maxServices || len(got) > maxServices {
			t.Errorf("block %d: %d of 100 living, late has %v, %d units", n, living, namesOf(got, "late"), o.units)
		}
	}
}

// All shares together are bounded, and names in bytes; a small one is not cut for great ones.
func TestSharesAreCutAlike(t *testing.T) {
	t.Parallel()
	o := newOperations()
	seen := sightings{}
	for s := range 100 {
		for i := range 900 {
			seen.note(fmt.Sprint("great-", s), strconv.Itoa(i), 1)
		}
	}
	for i := range 300 {
		seen.note("small", strconv.Itoa(i), 1)
		seen.note("long", strings.Repeat("x", 10_000)+strconv.Itoa(i), 1)
	}
	_, names := o.add(seen, blockOf(0))
	got := o.entries()
	great, long := len(namesOf(got, "great-7")), len(namesOf(got, "long"))
	if len(namesOf(got, "small")) != 300 || great < 490 || great > 500 || long > maxShare/79 || long == 0 || o.opUnits > maxOperations {
		t.Errorf("small has %d, a great one %d, long %d, in all %d units", len(namesOf(got, "small")), great, long, o.opUnits)
	}
	all := 0
	for _, e := range got {
		all += len(e.Operations)
	}
	if all+names != 100*900+600 {
		t.Errorf("%d listed and %d not, of %d", all, names, 100*900+600)
	}
}

// What found no room is counted once a block, however often the list is asked for.
func TestDroppedOperationsAreCountedOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	b := telemetry.NewBatch()
	b.Received = 1_790_000_000e9
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString("junk")}})
	for i := range maxShare + 5 {
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{byte(i), byte(i >> 8), 1}, Start: b.Received, Name: b.InternString(fmt.Sprint("op-", i)), Code: -1,
		})
	}
	consume(t, s, telemetry.Entry{Position: 1, Batch: b})
	for range 3 {
		list, err := s.Services(context.Background())
		if err != nil || len(list) != 1 || len(list[0].Operations) != maxShare {
			t.Fatalf("%v, %v", list, err)
		}
	}
	seal(t, s)
	if got := testutil.ToFloat64(s.ops.dropped.WithLabelValues("listed_operations")); got != 5 {
		t.Errorf("%v are counted as dropped", got)
	}
}
