package topology

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// restarts are what a faulty mesh knows of the server's.
type restarts struct {
	graph, doubts []byte // of the last checkpoint
	at            telemetry.Position
	kept          []func()
	keeps         bool
	back          map[string]int64 // since when a sender is back after the last start
	slow          time.Duration    // the slowest of them
}

// checkpoint saves the state. What comes after it is kept, as the log does.
func (f *faulty) checkpoint(t *testing.T) {
	t.Helper()
	f.graph = saved(t, f.t)
	var b bytes.Buffer
	if err := f.t.Doubts().Save(&b); err != nil {
		t.Fatal(err)
	}
	f.doubts, f.at, f.kept, f.keeps = b.Bytes(), f.position, nil, true
}

// remember keeps what was consumed since the last checkpoint.
func (f *faulty) remember(now int64, service string, items []item) {
	if f.keeps {
		items = slices.Clone(items)
		f.kept = append(f.kept, func() { f.take(now, service, items) })
	}
}

// kill has the server end as by SIGKILL, and start again: from its last checkpoint and the log behind it. What is sent meanwhile is lost, and then the senders come back one after the other.
func (f *faulty) kill(t *testing.T, down, slow time.Duration) {
	t.Helper()
	next := loaded(t, f.t, f.graph)
	if f.doubts != nil {
		use, err := next.Doubts().Prepare(bytes.NewReader(f.doubts))
		if err != nil {
			t.Fatal(err)
		}
		use()
		if again := (bytes.Buffer{}); next.Doubts().Save(&again) != nil || !bytes.Equal(again.Bytes(), f.doubts) {
			t.Fatal("findings that were loaded are saved as others")
		}
	}
	f.t, f.keeps = next, false
	f.position = f.at
	for _, take := range f.kept {
		take()
	}
	f.now += int64(down)
	for at := range f.due {
		if at <= f.now/step {
			delete(f.due, at)
		}
	}
	f.back, f.slow = map[string]int64{}, slow
	f.t.Tick(f.now)
}

// away says that the sender of an item is not back yet.
func (f *faulty) away(i item) bool {
	if f.back == nil {
		return false
	}
	sender := fmt.Sprint(i.pod, i.isLog)
	at, ok := f.back[sender]
	if !ok {
		at = f.now + f.r.Int64N(int64(f.slow))
		f.back[sender] = at
	}
	return f.now < at
}

// notes are what was found at each second, by kind and subject.
func (f *faulty) notes() string {
	return kindsAndSubjects(f.t.Findings(time.Time{}))
}

func kindsAndSubjects(found []telemetry.Finding) string {
	var all []string
	for _, x := range found {
		all = append(all, x.Kind+" "+x.Subject)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// What was found before a restart is there at once after it, since when it was, for as long as the fault lasts and alone; and it ends when the fault has ended. So after a stop, and after a kill.
// What was found at each second is remembered, over the restart too, and its beginning and its end are events.
func TestFindingsOutliveARestart(t *testing.T) {
	t.Parallel()
	for _, fault := range [...][3]string{
		{"headers", "search", "headers_dropped shop/search"},
		{"tracer", "search", "no_tracer shop/search"},
		{"sampling", "front", "sampling_differs shop/front"},
		{"clock", "catalog", "clock_off shop/catalog"},
		{"twice", "reviews", "reported_twice shop/reviews"},
		{"address", "reviews", "address_reused shop/reviews"},
		{"replica", "reviews", "replica_silent shop/reviews"},
		{"renamed", "catalog", "service_renamed shop/catalog"},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprint(fault[0], " killed=", killed), func(t *testing.T) {
				t.Parallel()
				f := &faulty{flush: 200 * time.Millisecond, rate: 40}
				f.begin(7)
				were := map[int64]string{}
				second := func() {
					f.second()
					were[f.now] = f.notes()
				}
				for range 75 {
					second()
				}
				f.fault = [2]string{fault[0], fault[1]}
				for n := 0; !strings.Contains(f.notes(), fault[2]); n++ {
					if second(); n > 60 {
						t.Fatal("the fault is not found")
					}
				}
				for range 5 {
					second()
				}
				held := f.notes() // what follows from the fault may be found as well
				since := map[string]time.Time{}
				for _, x := range f.t.Findings(time.Time{}) {
					since[x.Kind] = x.Since
				}
				f.checkpoint(t)
				if killed {
					for range 12 {
						second()
					}
				}
				f.kill(t, 20*time.Second, 9*time.Second)
				for n := range 100 {
					if got := f.notes(); got != held && n < 60 || !strings.Contains(got, fault[2]) {
						t.Fatalf("%d s after the start: %s\nit was %q", n, f.found(true), held)
					}
					for _, x := range f.t.Findings(time.Time{}) {
						if !x.Since.Equal(since[x.Kind]) {
							t.Fatalf("%d s after the start: %s since %s, and it was since %s", n, x.Kind, x.Since, since[x.Kind])
						}
					}
					second()
				}
				f.fault = [2]string{}
				for n := 0; strings.Contains(f.notes(), fault[2]); n++ {
					if second(); n > 90 {
						t.Fatalf("the fault has ended, and is found still: %s", f.found(true))
					}
				}
				for at, was := range were {
					if is := kindsAndSubjects(f.t.FoundAt(time.Unix(0, at))); is != was {
						t.Errorf("at %s was found %q, and it is said that %q was", time.Duration(at-storyStart), was, is)
					}
				}
				var events []string
				for _, e := range f.t.Events(time.Unix(0, 0), time.Unix(0, f.now+1)).List {
					if e.Kind == telemetry.EventFinding && e.Finding+" "+e.Service == fault[2] {
						events = append(events, fmt.Sprint(e.Finding, " ", e.Service, " ", e.Ended))
					}
				}
				if want := []string{fault[2] + " true", fault[2] + " false"}; !slices.Equal(events, want) {
					t.Errorf("events are %q, want %q", events, want)
				}
			})
		}
	}
}

// Nothing is found where nothing is wrong, because of a restart, however short or long it took, however long the senders need to come back, and also if the state is an older server's, which saved
// nothing of it.
func TestNothingIsFoundByARestart(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]faulty{
		"proxies":                {flush: 200 * time.Millisecond, rate: 15},
		"proxies, lost and late": {flush: time.Second, rate: 10, lost: 50, late: 30},
		"SDKs beside proxies":    {flush: 200 * time.Millisecond, spans: 5 * time.Second, rate: 15},
		"SDKs":                   {flush: 5 * time.Second, rate: 10, sdk: true, lost: 100, late: 50},
	} {
		for _, down := range []time.Duration{time.Second, time.Minute} {
			for _, older := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", down, " older=", older), func(t *testing.T) {
					t.Parallel()
					f := of
					f.begin(5)
					for range 100 {
						f.second()
					}
					f.checkpoint(t)
					for range 10 {
						f.second()
					}
					if older {
						f.doubts = nil
					}
					f.kill(t, down, 15*time.Second)
					for n := range 150 {
						if f.second(); len(f.t.Findings(time.Time{})) > 0 {
							t.Fatalf("%d s after the start: %s", n+1, f.found(true))
						}
					}
				})
			}
		}
	}
}
