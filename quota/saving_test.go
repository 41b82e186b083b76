package quota

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/quota/window"
	"github.com/binnacle-mesh/binnacle/storage/journal"
)

// memory is a journal that outlives engines.
type memory struct {
	records [][]byte
	fails   bool
	spent   bool
}

func (m *memory) Spent() bool { return m.spent }

func (m *memory) Append(records iter.Seq[[]byte]) error {
	var more [][]byte
	for r := range records {
		more = append(more, bytes.Clone(r))
	}
	if m.fails {
		return errors.New("no space left")
	}
	m.records = append(m.records, more...)
	return nil
}

func (m *memory) Rewrite(records iter.Seq[[]byte]) error {
	old := m.records
	m.records = nil
	if err := m.Append(records); err != nil {
		m.records = old
		return err
	}
	return nil
}

func (m *memory) Close() error { return nil }

// restarted is an engine that goes on where the journal ends.
func restarted(t interface {
	Fatal(...any)
	Helper()
}, cfg Config, yaml string, m *memory, now time.Time,
) *Engine {
	t.Helper()
	recall := NewRecall(cfg, now.Unix())
	for _, r := range m.records {
		if err := recall.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(cfg, rules(yaml), Deps{Secret: RandomSecret(), Journal: m, Recall: recall, Log: silent(), Registerer: prometheus.NewRegistry()}, now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const threeWindows = `
domain: shop
descriptors:
- {key: second, rate_limit: {unit: second, requests_per_unit: 4}}
- {key: minute, rate_limit: {unit: minute, requests_per_unit: 5}}
- {key: hour, rate_limit: {unit: hour, requests_per_unit: 7}}
- {key: day, rate_limit: {unit: day, requests_per_unit: 9}}
`

// A machine has a clock that can be set and one that cannot, and a server that crashes.
type machine struct {
	mono, wall time.Duration
	engine     *Engine
	journal    *memory
	cfg        Config
}

func (m *machine) now() time.Time {
	now := time.Unix(1_700_000_000, 0).Add(m.wall)
	if m.engine != nil { // so that the monotonic clock shows what it should
		m.engine.clock.origin = now.Add(-m.mono)
	}
	return now
}

func (m *machine) start(t *rapid.T) {
	m.engine, m.mono = nil, 0
	m.engine = restarted(t, m.cfg, threeWindows, m.journal, m.now())
}

// TestRestarts: through crashes, orderly stops, savings that fail and clocks that are set, no key is admitted more in a window than its
// limit and what was admitted between the last saving and a crash (of a second all); after an orderly stop nothing on top; and none is refused that has
// something left. Windows never come again, and last as long as they should by the clock that cannot be set.
func TestRestarts(t *testing.T) {
	t.Parallel()
	lengths := map[string]uint32{"second": 1, "minute": 60, "hour": 3600, "day": 86400}
	limits := map[string]uint64{"second": 4, "minute": 5, "hour": 7, "day": 9}
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{journal: &memory{}, cfg: DefaultConfig()}
		m.cfg.CountRefused = rapid.Bool().Draw(t, "count refused")
		m.start(t)
		// By key and window: what counts as used, what of it is not saved, and what crashes forgot.
		used, unsaved, forgotten := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
		last := int64(0)
		pass := func(d time.Duration) { m.mono, m.wall = m.mono+d, m.wall+d }
		set := func() {
			m.wall += time.Duration(rapid.Int64Range(-200_000, 200_000).Draw(t, "set by")) * time.Second
		}
		for range rapid.IntRange(50, 250).Draw(t, "steps") {
			pass(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 10, 500, 1000, 30_000, 3_000_000}).Draw(t, "passed")) * time.Millisecond)
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			case 0:
				set()
			case 1:
				now := m.now()
				m.engine.Tick(now)
			case 2, 3:
				m.journal.fails, m.journal.spent = rapid.IntRange(0, 3).Draw(t, "fails") == 0, rapid.IntRange(0, 5).Draw(t, "spent") == 0
				if err := m.engine.saver.save(m.now(), false); err == nil {
					for k := range unsaved {
						delete(unsaved, k)
					}
				}
			case 4: // killed
				for k, n := range unsaved {
					forgotten[k] += n
				}
				for k, n := range used {
					if k[0] == 's' { // whole, for what was saved in the end is not written anew
						forgotten[k] = n
					}
				}
				clear(unsaved)
				if rapid.Bool().Draw(t, "set while down") {
					set()
				}
				last = 0 // a second that nothing was saved of may come again
				m.start(t)
			case 5: // stopped
				m.journal.fails = false
				if err := m.engine.saver.save(m.now(), true); err != nil {
					t.Fatal(err)
				}
				clear(unsaved)
				if rapid.Bool().Draw(t, "set while down") {
					set()
				}
				m.start(t)
			default:
				unit := rapid.SampledFrom([]string{"second", "minute", "hour", "day"}).Draw(t, "unit")
				n := rapid.Uint64Range(1, 3).Draw(t, "n")
				desc := descriptor(unit + "=" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value"))
				desc.Hits, desc.OwnHits = n, true
				var d Decision
				if err := m.engine.Decide(t.Context(), &Request{Domain: []byte("shop"), Descriptors: []Descriptor{desc}}, &d, m.now()); err != nil {
					t.Fatal(err)
				}
				if d.unix < last {
					t.Fatalf("time went back from %d to %d", last, d.unix)
				}
				last = d.unix
				start := window.Start(d.unix, lengths[unit])
				k := fmt.Sprintf("%s %s %d", unit, desc.Entries[0].Value, start)
				switch limit := limits[unit]; {
				case d.Over && used[k]+n <= limit:
					t.Fatalf("%s: %d refused after %d of %d", k, n, used[k], limit)
				case !d.Over && used[k]-forgotten[k]+n > limit:
					t.Fatalf("%s: %d admitted after %d of %d, of which crashes forgot %d", k, n, used[k], limit, forgotten[k])
				case !d.Over || m.cfg.CountRefused:
					used[k] += n
					unsaved[k] += n
				}
				if reset := d.Statuses[0].Reset; reset < 1 || reset > int64(lengths[unit]) {
					t.Fatalf("%s ends in %d s", k, reset)
				}
			}
		}
	})
}

// TestSavedOnStop: an engine that was stopped in order has told a real file all, the keys of each rule included, and the file is not
// for others to read. One that was killed has told it what was used before the last saving.
func TestSavedOnStop(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "quota", "counters")
	cfg := DefaultConfig()
	cfg.SaveInterval = 10 * time.Millisecond
	open := func(yaml string) *Engine {
		t.Helper()
		recall := NewRecall(cfg, time.Now().Unix())
		j, found, err := journal.Open(path, recall.Add)
		if err != nil {
			t.Fatal(err)
		}
		recall.Missing(found.Torn, found.Damage)
		e, err := New(cfg, rules(yaml), Deps{Secret: RandomSecret(), Journal: j, Recall: recall, Log: silent(), Registerer: prometheus.NewRegistry()}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		e.StartSaving()
		return e
	}
	e := open(threeWindows)
	ask(t, e, time.Now(), 3, descriptor("day=a"))
	for deadline := time.Now().Add(30 * time.Second); e.saver.saves.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was saved")
		}
		time.Sleep(time.Millisecond)
	}
	ask(t, e, time.Now(), 2, descriptor("day=a"))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// The rules come in another order, so that their tags differ, and one is new.
	e = open("domain: shop\ndescriptors:\n- {key: new, rate_limit: {unit: day, requests_per_unit: 1}}\n- {key: day, rate_limit: {unit: day, requests_per_unit: 9}}\n")
	if n := e.Status(time.Now()).Rules[1].ActiveKeys; n != 1 {
		t.Errorf("%d keys of the rule are active after the restart, want 1", n)
	}
	if n := ask(t, e, time.Now(), 9, descriptor("day=a")); n != 4 {
		t.Errorf("%d admitted after the restart, want the 4 that were left", n)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamageIsTold: what is damaged is left out and told, the rest is used, and a server starts.
func TestDamageIsTold(t *testing.T) {
	t.Parallel()
	m := &memory{}
	now := time.Unix(1_700_000_000, 0)
	e := restarted(t, DefaultConfig(), threeWindows, m, now)
	ask(t, e, now, 3, descriptor("day=a"))
	if err := e.saver.save(now, false); err != nil {
		t.Fatal(err)
	}
	recall := NewRecall(DefaultConfig(), now.Unix())
	other := RandomSecret()
	for _, bad := range [][]byte{nil, m.records[0][:len(m.records[0])-1], append([]byte{99}, m.records[0][1:]...)} {
		if err := recall.Add(bad); !errors.Is(err, errRecord) {
			t.Errorf("%x was taken: %v", bad, err)
		}
	}
	if err := recall.Add(m.records[0]); err != nil {
		t.Fatal(err)
	}
	if err := recall.Add(appendHead(nil, other, 0, nil)); !errors.Is(err, errRecord) {
		t.Errorf("a record of another secret was taken: %v", err)
	}
	recall.Missing(0, errors.New("byte 7: damaged"))
	next, err := New(DefaultConfig(), rules(threeWindows), Deps{Secret: other, Journal: m, Recall: recall, Log: silent(), Registerer: prometheus.NewRegistry()}, now)
	if err != nil {
		t.Fatal(err)
	}
	if f := next.Findings(now); len(f) != 1 || f[0].Kind != "quota_damaged" || next.restored != 1 {
		t.Errorf("found %+v, %d keys restored", f, next.restored)
	}
	if n := ask(t, next, now, 9, descriptor("day=a")); n != 6 {
		t.Errorf("%d admitted, want the 6 that were left", n)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unix := rapid.Int64Range(-1e18, 2e18).Draw(t, "unix")
		secret := NewSecret([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret")))
		names := rapid.MapOfN(rapid.Uint32(), rapid.String(), 0, 4).Draw(t, "names")
		var want, got []window.Saved
		b := appendHead(nil, secret, unix, names)
		for range rapid.IntRange(0, 5).Draw(t, "counters") {
			v := window.Saved{Count: rapid.Uint64().Draw(t, "count"), Length: rapid.Uint32Range(1, 1<<32-1).Draw(t, "length"), Tag: rapid.Uint32().Draw(t, "tag"), Floor: rapid.Bool().Draw(t, "floor")}
			v.Start = window.Start(floorSeconds(unix), v.Length) + rapid.Int64Range(-1, 1).Draw(t, "windows")*int64(v.Length)
			if v.Floor {
				v.Shard = rapid.Uint32().Draw(t, "shard")
			} else {
				v.Key = window.Key{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
			}
			want = append(want, v)
			b = appendSaved(b, &v, floorSeconds(unix))
		}
		gotNames := map[uint32]string{}
		s, u, err := decodeRecord(b, func(tag uint32, name string) { gotNames[tag] = name }, func(v *window.Saved) { got = append(got, *v) })
		if err != nil || s != secret || u != unix || !cmp.Equal(names, gotNames) || !slices.Equal(want, got) {
			t.Fatalf("%v: %v %v, names %v, counters (-want +got):\n%s", err, s, u, gotNames, cmp.Diff(want, got))
		}
	})
}

// FuzzRecord: no bytes make reading fail in another way than by its error, or loop.
func FuzzRecord(f *testing.F) {
	now := int64(1_700_000_000)
	b := appendHead(nil, RandomSecret(), now*int64(time.Second), map[uint32]string{1: "shop/day"})
	for _, v := range []window.Saved{{Key: window.Key{Hi: 1, Lo: 2}, Count: 3, Start: now, Length: 60, Tag: 1}, {Floor: true, Shard: 5, Length: 60, Count: 9}} {
		b = appendSaved(b, &v, now)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewRecall(Config{MaxKeys: 100}, now)
		if err := r.Add(b); err != nil && !errors.Is(err, errRecord) {
			t.Fatal(err)
		}
		r.restored(nil)
	})
}
