package signal

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// upper is a bucket's upper bound in seconds.
func upper(b int) float64 { return bucket.Upper(int32(b + lowest)) }

func TestBucketOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ns := rapid.OneOf(rapid.Int64Range(-1, 1<<41), rapid.Int64Range(-1, math.MaxInt64)).Draw(rt, "ns")
		b := BucketOf(ns)
		s := float64(ns) / 1e9
		const slack = 1 + 1e-12
		if b < 0 || b >= Buckets {
			rt.Fatalf("bucket %d of %d ns is none", b, ns)
		}
		if b < Buckets-1 && s > upper(b)*slack {
			rt.Fatalf("%v s is above bucket %d, which ends at %v", s, b, upper(b))
		}
		if b > 0 && s*slack <= upper(b-1) {
			rt.Fatalf("%v s is below bucket %d, which begins at %v", s, b, upper(b-1))
		}
	})
}

func TestQuantileWithinItsError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ns := rapid.SliceOfN(rapid.Int64Range(1e3, 1e12), 1, 200).Draw(rt, "ns")
		var a Acc
		c := At(5)
		for _, v := range ns {
			a.Add(&c, Sample{Bucket: BucketOf(v)})
		}
		var d Dist
		a.AddTo(&d, FiveMinutes)
		slices.Sort(ns)
		qs := []float64{0, 0.5, 0.9, 0.99, 1}
		ms := make([]float64, len(qs))
		ok := d.Quantiles(qs, ms)
		for i, q := range qs {
			got := ms[i]
			want := float64(ns[max(0, int(math.Ceil(q*float64(len(ns))))-1)]) / 1e6
			if !ok || math.Abs(got-want) > bucket.MaxError*want*1.0001 {
				rt.Fatalf("q%v is %v ms, want %v within %v", q, got, want, bucket.MaxError)
			}
		}
	})
}

func TestDistWithout(t *testing.T) {
	t.Parallel()
	var all, part Dist
	for b := range 10 {
		all.add(b+50, 3)
	}
	part.add(52, 2)
	part.add(53, 9)
	part.add(70, 1)
	rest := all.Without(&part)
	if rest.Total != 30-2-3 || rest.counts[52] != 1 || rest.counts[53] != 0 {
		t.Errorf("rest is %d: %v", rest.Total, rest.counts[50:60])
	}
	all.Reset()
	if all != (Dist{}) {
		t.Error("reset left something")
	}
	if all.Quantiles([]float64{0.5}, make([]float64, 1)) {
		t.Error("an empty distribution has a median")
	}
}

// naive keeps every sample with its tick.
type naive []struct {
	tick int64
	s    Sample
}

func (n naive) sums(w Window, now int64) (s Sums) {
	l := levels[w]
	for _, x := range n {
		if now/l.width-x.tick/l.width >= l.slots {
			continue
		}
		s.Requests++
		switch x.s.Outcome {
		case telemetry.OutcomeError:
			s.Errors++
		case telemetry.OutcomeThrottled:
			s.Throttled++
		default:
		}
		if x.s.TLS != telemetry.TLSUnknown {
			s.Secured++
		}
		if x.s.TLS == telemetry.TLSMutual {
			s.Mutual++
		}
	}
	return s
}

// TestAccModel adds, takes back, merges, saves and reads at random, against a
// list of all samples.
func TestAccModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a, other := &Acc{}, &Acc{}
		var all, rest naive
		now := int64(1000)
		draw := func() Sample {
			return Sample{
				Bucket:  rapid.IntRange(0, 5).Draw(rt, "bucket"),
				Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(rt, "outcome")),
				TLS:     telemetry.TLS(rapid.IntRange(0, 3).Draw(rt, "tls")),
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				c := At(now)
				s := draw()
				a.Add(&c, s)
				all = append(all, struct {
					tick int64
					s    Sample
				}{now, s})
			},
			"burst": func(rt *rapid.T) {
				first, n := rapid.IntRange(0, 200).Draw(rt, "first"), rapid.IntRange(1, 60).Draw(rt, "number")
				for i := range n {
					c := At(now)
					s := draw()
					s.Bucket = first + i%40
					a.Add(&c, s)
					all = append(all, struct {
						tick int64
						s    Sample
					}{now, s})
				}
			},
			"add past": func(rt *rapid.T) {
				s := draw()
				tick := now - rapid.Int64Range(0, 900).Draw(rt, "age")
				to, list := a, &all
				if rapid.Bool().Draw(rt, "other") {
					to, list = other, &rest
				}
				n, c := At(now), At(tick)
				to.AddPast(&n, &c, s)
				*list = append(*list, struct {
					tick int64
					s    Sample
				}{tick, s})
			},
			"remove": func(rt *rapid.T) {
				if len(all) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(all)-1).Draw(rt, "which")
				n, c := At(now), At(all[i].tick)
				a.Remove(&n, &c, all[i].s)
				all = slices.Delete(all, i, i+1)
			},
			"merge": func(*rapid.T) {
				a.Merge(other)
				all = append(all, rest...)
				other, rest = &Acc{}, nil
			},
			"wait": func(rt *rapid.T) {
				now += rapid.SampledFrom([]int64{1, 9, 95, 290, 5000}).Draw(rt, "wait")
			},
			"save": func(rt *rapid.T) {
				a.Advance(now)
				b := a.Append(nil)
				read := &Acc{}
				left, err := read.Read(b, now)
				if err != nil || len(left) > 0 {
					rt.Fatalf("read: %v, %d bytes left", err, len(left))
				}
				a = read
			},
			"": func(rt *rapid.T) {
				a.Advance(now)
				for w := range Window(Windows) {
					if diff := cmp.Diff(all.sums(w, now), a.Sums(w)); diff != "" {
						rt.Fatalf("window %s (-want +got):\n%s", w, diff)
					}
					if a.Requests(w) != a.Sums(w).Requests {
						rt.Fatalf("window %s: %d requests, want %d", w, a.Requests(w), a.Sums(w).Requests)
					}
					var d Dist
					a.AddTo(&d, w)
					if uint64(d.Total) != a.Sums(w).Requests {
						rt.Fatalf("window %s: sketch of %d, want %d", w, d.Total, a.Sums(w).Requests)
					}
				}
				if err := a.Check(); err != nil {
					rt.Fatal(err)
				}
				sameInRows(rt, a, now)
				if a.Total().Requests != uint64(len(all)) {
					rt.Fatalf("total %d, want %d", a.Total().Requests, len(all))
				}
			},
		})
	})
}

// sameInRows proves that an accumulator answers, and is saved, as one that keeps rows.
func sameInRows(rt *rapid.T, a *Acc, now int64) {
	wide := Acc{total: a.total, last: a.last, ids: slices.Clone(a.ids), rows: slices.Clone(a.rows)}
	if len(wide.rows) == 0 {
		wide.spread()
	}
	if x, y := a.Append(nil), wide.Append(nil); !slices.Equal(x, y) {
		rt.Fatalf("saved as %x, with rows as %x", x, y)
	}
	if x, y := a.Lately(now+70), wide.Lately(now+70); x != y {
		rt.Fatalf("%d lately, with rows %d", x, y)
	}
	ten, minute := a.Recent()
	if ten != wide.Requests(TenSeconds) || minute != wide.Requests(Minute) {
		rt.Fatalf("%d and %d of late, with rows %d and %d", ten, minute, wide.Requests(TenSeconds), wide.Requests(Minute))
	}
	stretch := Between((now-30)*Tick, now*Tick)
	if x, y := a.In(&stretch, 3, 60), wide.In(&stretch, 3, 60); x != y {
		rt.Fatalf("%+v in three seconds, with rows %+v", x, y)
	}
}

// What has more requests in one bucket than a row has room for counts each of them.
func TestMoreThanARowCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var a, other Acc
		c, at := At(100_000), At(100_000)
		a.Advance(100_000)
		s := Sample{Bucket: rapid.IntRange(0, 3).Draw(rt, "bucket"), Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(rt, "outcome"))}
		n := rapid.SampledFrom([]int{65_534, 65_535, 65_536, 131_071}).Draw(rt, "n")
		a.put(byte(counters+s.Bucket), c.col[FiveMinutes], uint32(n)) //nolint:gosec // above 0
		a.total.Requests = uint64(n)                                  //nolint:gosec // above 0
		for range 4 {
			a.AddPast(&c, &at, s)
			other.AddPast(&c, &at, s)
		}
		a.Merge(&other)
		want := uint64(n + 8) //nolint:gosec // above 0
		for range rapid.IntRange(0, 8).Draw(rt, "taken") {
			a.Remove(&c, &at, s)
			want--
		}
		read := &Acc{}
		if rest, err := read.Read(a.Append(nil), 100_000); err != nil || len(rest) > 0 {
			rt.Fatalf("read: %v, %d bytes left", err, len(rest))
		}
		for _, x := range [...]*Acc{&a, read} {
			if err := x.Check(); err != nil {
				rt.Fatal(err)
			}
			if got := x.Requests(FiveMinutes); got != want || x.Sums(FiveMinutes).Requests != want || x.Lately(100_000) != want {
				rt.Fatalf("%d requests, want %d: %+v, lately %d", got, want, x.Sums(FiveMinutes), x.Lately(100_000))
			}
			var d Dist
			x.AddTo(&d, FiveMinutes)
			if d.Total != int64(want) { //nolint:gosec // small
				rt.Fatalf("durations of %d, want %d", d.Total, want)
			}
			sameInRows(rt, x, 100_000)
		}
	})
}

// What is called once in some seconds takes no more than a few hundred bytes, whatever has come before.
func TestLittleIsSmall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var a Acc
		for tick := int64(0); tick < 9000; tick += 50 {
			c := At(tick)
			a.Add(&c, Sample{Bucket: rapid.IntRange(80, 100).Draw(rt, "bucket")})
			if tick == 1000 {
				for i := range 300 {
					a.Add(&c, Sample{Bucket: 80 + i%20})
				}
			}
		}
		if len(a.rows) > 0 || cap(a.ids) > cellBytes*mostCells {
			rt.Fatalf("%d rows, %d bytes of cells", len(a.rows), cap(a.ids))
		}
	})
}

// An edge that falls silent gives its memory back.
func TestSilenceFreesRows(t *testing.T) {
	t.Parallel()
	var a Acc
	c := At(1000)
	for b := range 20 {
		a.Add(&c, Sample{Bucket: b, Outcome: telemetry.OutcomeError})
	}
	a.Advance(1000 + 3600)
	if len(a.rows) != 0 || a.Total().Requests != 20 {
		t.Errorf("%d rows after six minutes, total %d", len(a.rows), a.Total().Requests)
	}
}

// A window's length is its whole slots and the part of the one being filled.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for w, want := range map[Window]float64{Second: 1.05, TenSeconds: 10.05, Minute: 60.05, FiveMinutes: 300.05} {
		if got := Seconds(w, 1_795_222_800_050_000_000); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v s, want %v", w, got, want)
		}
	}
}
