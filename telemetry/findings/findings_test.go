package findings

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

const noon = int64(1_795_222_800_000_000_000)

// service is one with proxies, of which all is well: 40 requests a second in, and as many out.
func service() *Service {
	seen := Seen{200, 200, 200, 200}
	long := Seen{2400, 2400, 2400, 2400}
	settled := Seen{2000, 2000, 2000, 2000}
	pace := Pace{Last: noon - 2e8, Usual: 400 * time.Millisecond}
	return &Service{
		ID: "shop/cart", Name: "cart", Now: noon, Since: noon - 600e9, Spans: pace, Logs: pace, Traced: true,
		Recent: Traffic{Seconds: 5, In: seen, Out: seen}, Minute: Traffic{Seconds: 60, In: long, Out: long}, Settled: Traffic{Seconds: 50, In: settled, Out: settled},
		Callers: []Peer{{
			ID: "shop/front", Name: "front", Edge: "shop/front>shop/cart|http", Protocol: telemetry.ProtocolHTTP, Said: 2000, Met: 2000, Logged: 2400,
			Clock: Clock{Pairs: 16}, InStep: 3, Compared: 3,
		}},
		Callees: []Peer{{
			ID: "shop/pricing", Name: "pricing", Edge: "shop/cart>shop/pricing|http", Protocol: telemetry.ProtocolHTTP, Said: 2000, Met: 2000, Logged: 2400,
			Clock: Clock{Pairs: 16}, InStep: 2, Compared: 2,
		}},
		Replicas: []Replica{
			{Name: "cart-0", Spans: true, First: noon - 600e9, Last: noon - 2e8, Reports: 40, All: 80, Since: 1},
			{Name: "cart-1", Spans: true, First: noon - 600e9, Last: noon - 1e8, Reports: 40, All: 80, Since: 0},
		},
	}
}

// TestLook: what is found of a service, and what is not.
func TestLook(t *testing.T) {
	t.Parallel()
	roots := func(s *Service, n, within, chance uint64) {
		s.Recent.Roots, s.Rooted = n, Rooted{Calls: n, Within: within, Chance: chance}
	}
	for name, c := range map[string]struct {
		change func(*Service, *Mesh)
		want   string
	}{
		"all is well":                        {func(*Service, *Mesh) {}, ""},
		"headers dropped":                    {func(s *Service, _ *Mesh) { roots(s, 190, 180, 40) }, "headers_dropped"},
		"headers dropped by who is busy":     {func(s *Service, _ *Mesh) { roots(s, 190, 188, 180) }, "headers_dropped"},
		"jobs that nobody asked for":         {func(s *Service, _ *Mesh) { roots(s, 100, 5, 6) }, ""},
		"a heartbeat of who is busy":         {func(s *Service, _ *Mesh) { roots(s, 20, 20, 19); s.Recent.Out = Seen{20, 20, 20, 20} }, ""},
		"headers lost before it":             {func(s *Service, _ *Mesh) { s.Callers[0].Met, s.Settled.Begun = 0, 1990 }, "headers_dropped"},
		"a gateway that the mesh calls, too": {func(s *Service, _ *Mesh) { s.Settled.Begun = 5000 }, ""},
		"no tracer any more": {func(s *Service, _ *Mesh) {
			s.Spans.Last = noon - 6e9
			s.Recent.In[telemetry.ServerSpan], s.Recent.Out[telemetry.ClientSpan] = 0, 0
		}, "no_tracer"},
		"never a tracer, by callers alone": {func(s *Service, _ *Mesh) {
			s.Spans, s.Logs, s.Answered = Pace{}, Pace{}, 1000
			for _, n := range []*Traffic{&s.Recent, &s.Minute, &s.Settled} {
				n.In, n.Out = Seen{n.In[0], 0, 0, 0}, Seen{}
			}
		}, "no_tracer"},
		"nobody traces": {func(s *Service, m *Mesh) {
			s.Spans, m.Traced, m.Kept = Pace{}, 0, 0
			for _, n := range []*Traffic{&s.Recent, &s.Minute, &s.Settled} {
				n.In, n.Out = Seen{0, 0, 200, 200}, Seen{0, 0, 200, 200}
			}
		}, ""},
		"a pause that is usual": {func(s *Service, _ *Mesh) { s.Spans = Pace{Last: noon - 8e9, Usual: 5 * time.Second} }, ""},
		"one trace in a hundred": {func(s *Service, _ *Mesh) {
			s.Recent.In[telemetry.ServerSpan], s.Recent.Out[telemetry.ClientSpan] = 2, 2
		}, "sampling_differs"},
		"one in a hundred everywhere": {func(s *Service, m *Mesh) {
			s.Recent.In, s.Recent.Out, m.Kept = Seen{2, 2, 200, 200}, Seen{2, 2, 200, 200}, 0.01
		}, ""},
		"all where others keep one in a hundred": {func(_ *Service, m *Mesh) { m.Kept = 0.01 }, "sampling_differs"},
		"one in a hundred, as its spans say": {func(s *Service, _ *Mesh) {
			s.Recent.In[telemetry.ServerSpan], s.Recent.Out[telemetry.ClientSpan], s.Stated = 2, 2, 0.01
		}, "sampling_differs"},
		"one in a hundred everywhere, as all spans say": {func(s *Service, m *Mesh) {
			s.Recent.In, s.Recent.Out, s.Stated, m.Kept = Seen{2, 2, 200, 200}, Seen{2, 2, 200, 200}, 0.01, 0.01
		}, ""},
		"lost, as its spans say, though others keep no more": {func(s *Service, m *Mesh) {
			s.Recent.In, s.Recent.Out, s.Stated, m.Kept = Seen{20, 20, 200, 200}, Seen{20, 20, 200, 200}, 0.5, 0.1
		}, "sampling_differs"},
		"two in three arrive": {func(s *Service, _ *Mesh) {
			s.Recent.In[telemetry.ServerSpan], s.Recent.Out[telemetry.ClientSpan] = 133, 133
		}, ""},
		"a clock that is ahead": {func(s *Service, _ *Mesh) {
			s.Callers[0].Clock = Clock{16, 16, 4, 3 * time.Second}
			s.Callees[0].Clock = Clock{16, 15, 4, 3 * time.Second}
		}, "clock_off"},
		"the caller's clock": {func(s *Service, _ *Mesh) { s.Callers[0].Clock = Clock{16, 16, 4, 3 * time.Second} }, ""},
		"clocks apart by NTP": {func(s *Service, _ *Mesh) {
			s.Callers[0].Clock = Clock{16, 16, 4, 12 * time.Millisecond}
			s.Callees[0].Clock = Clock{16, 16, 4, 12 * time.Millisecond}
		}, ""},
		"logged twice": {func(s *Service, _ *Mesh) { s.Recent.In[telemetry.ServerLog] = 400 }, "reported_twice"},
		"logs that meet nothing, for want of a tracer until just now": {func(s *Service, _ *Mesh) { s.Recent.In[telemetry.ServerLog], s.Traced = 400, false }, ""},
		"repeated attempts": {func(s *Service, _ *Mesh) {
			s.Recent.In[telemetry.ServerLog], s.Recent.In[telemetry.ServerSpan] = 400, 400
		}, ""},
		"requests and connections": {func(s *Service, _ *Mesh) {
			tcp := s.Callers[0]
			tcp.Edge, tcp.Protocol = "shop/front>shop/cart|tcp", telemetry.ProtocolTCP
			s.Callers = append(s.Callers, tcp)
		}, "reported_twice"},
		"a replica fell silent": {func(s *Service, _ *Mesh) { s.Replicas[1].Last, s.Replicas[1].Since = noon-5e9, 25 }, "replica_silent"},
		"one that is seldom asked": {func(s *Service, _ *Mesh) {
			s.Replicas[1].Last, s.Replicas[1].Since, s.Replicas[1].Reports, s.Replicas[1].All = noon-5e9, 25, 32, 3200
		}, ""},
		"a release": {func(s *Service, _ *Mesh) {
			s.Replicas[1].Last, s.Replicas[1].Since = noon-5e9, 25
			s.Replicas = append(s.Replicas, Replica{Name: "cart-2", Spans: true, First: noon - 12e9, Last: noon, Reports: 20, All: 40})
		}, ""},
		"scaled down long ago": {func(s *Service, _ *Mesh) { s.Replicas[1].Last, s.Replicas[1].Since = noon-20*60e9, 9999 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, m := service(), &Mesh{Kept: 1, Traced: 5}
			c.change(s, m)
			var got []string
			for _, o := range Look(s, m) {
				if o.Opinion != Wrong {
					continue
				}
				f := o.Finding
				got = append(got, f.Kind)
				if f.Subject != s.ID || len(f.Nodes) == 0 || f.Says == "" || f.Remedy == "" || strings.Contains(f.Says+f.Remedy, "%!") {
					t.Errorf("a finding that lacks something: %+v", f)
				}
			}
			if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" && c.want+strings.Join(got, "") != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Where spans say what their sampler keeps, the finding says so, or that they were lost behind it.
func TestSamplingAsStated(t *testing.T) {
	t.Parallel()
	for stated, want := range map[float64]string{
		0:    "cart sends spans of 1.0 % of its requests where others do of 100 %: 4 spans in 5 s against 400 requests by its proxy's log",
		0.01: "its spans say that their sampler keeps 1.0 %",
		0.5:  "spans of cart get lost: they say that 50 % of its requests are sampled, and those of 1.0 % came",
	} {
		s := service()
		s.Recent.In[telemetry.ServerSpan], s.Recent.Out[telemetry.ClientSpan], s.Stated = 2, 2, stated
		o, f := samplingDiffers(s, &Mesh{Kept: 1, Traced: 5})
		if said := f.Says + "\n" + strings.Join(f.Evidence, "\n"); o != Wrong || !strings.Contains(said, want) {
			t.Errorf("of %v stated it is %d, said:\n%s\nwant %s", stated, o, said, want)
		}
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	before := func() *Place {
		return &Place{
			ID: "shop/cart", Name: "cart", Since: noon - 600e9, Reported: noon - 6e9, Callers: []string{"shop/a", "shop/b"}, Callees: []string{"database:x", "shop/c"},
			Operations: 0b0111,
		}
	}
	after := func() *Place {
		return &Place{
			ID: "shop/basket", Name: "basket", Since: noon - 6e9, Reported: noon - 1e8, Callers: []string{"shop/a", "shop/b"}, Callees: []string{"database:x", "shop/c"},
			Operations: 0b0011, Requests: 100,
		}
	}
	for name, c := range map[string]struct {
		change func(before, after *Place)
		want   Opinion
	}{
		"renamed":                  {func(_, _ *Place) {}, Wrong},
		"the old one goes on":      {func(b, _ *Place) { b.Reported = noon - 1e8 }, Well},
		"the new one is older":     {func(_, a *Place) { a.Since = noon - 60e9 }, Well},
		"another place":            {func(_, a *Place) { a.Callers = []string{"shop/x", "shop/y"} }, Well},
		"other operations":         {func(_, a *Place) { a.Operations = 0b111000 }, Well},
		"a new one that is silent": {func(_, a *Place) { a.Requests = 0 }, Unsure},
		"an old one of a moment":   {func(b, _ *Place) { b.Since = noon - 20e9 }, Well},
	} {
		b, a := before(), after()
		c.change(b, a)
		if got := Renamed(b, a, noon); got.Opinion != c.want {
			t.Errorf("%s: %v, want %v", name, got.Opinion, c.want)
		}
	}
}

func TestReused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Answer)
		want   Opinion
	}{
		"reused":                     {func(*Answer) {}, Wrong},
		"a canary":                   {func(a *Answer) { a.AnsweringIsCalled = false }, Unsure},
		"who is called has no spans": {func(a *Answer) { a.CalledReports = false }, Unsure},
		"who answers is gone":        {func(a *Answer) { a.AnsweringReports = false }, Unsure},
		"one request":                {func(a *Answer) { a.Lately = 1 }, Unsure},
		"none any more":              {func(a *Answer) { a.Lately = 0.1 }, Well},
		"few of many":                {func(a *Answer) { a.CalledLately = 1000 }, Unsure},
	} {
		a := &Answer{
			Called: "shop/reviews", Answering: "shop/pricing", CalledName: "reviews", AnsweringName: "pricing", Callers: []string{"front"}, Lately: 20, Total: 100,
			CalledLately: 20, CalledReports: true, AnsweringReports: true, AnsweringIsCalled: true, Address: "10.0.0.7:9080",
		}
		c.change(a)
		got := Reused(a)
		if got.Opinion != c.want {
			t.Errorf("%s: %v, want %v", name, got.Opinion, c.want)
		}
		if got.Opinion == Wrong && !strings.Contains(got.Finding.Says, "10.0.0.7:9080") {
			t.Errorf("%s does not say where: %s", name, got.Finding.Says)
		}
	}
}

// TestBook: when findings begin and end.
func TestBook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		looks, want string // a look a second: w wrong, . well, ? unsure; and after each: t told, - not
	}{
		"three looks begin it":      {"www", "--t"},
		"unsure is nothing":         {"w?w?w", "----t"},
		"well begins anew":          {"ww.ww.www", "--------t"},
		"five in a row end it":      {"www.....", "--ttttt-"},
		"four do not":               {"www....w....", "--tttttttttt"},
		"silence does not":          {"www" + strings.Repeat("?", 290), "--t" + strings.Repeat("t", 290)},
		"five minutes of it do":     {"www" + strings.Repeat("?", 300), "--t" + strings.Repeat("t", 299) + "-"},
		"seldom does not begin it":  {"w" + strings.Repeat("?", 11) + "ww", strings.Repeat("-", 14)},
		"and what is seldom is new": {"w" + strings.Repeat("?", 11) + "www", strings.Repeat("-", 14) + "t"},
	} {
		var b Book
		var got strings.Builder
		for i, look := range c.looks {
			o := Opined{Kind: ClockOff, Opinion: map[rune]Opinion{'w': Wrong, '.': Well, '?': Unsure}[look], Finding: telemetry.Finding{Kind: string(ClockOff), Subject: "shop/cart"}}
			b.Note(noon+int64(i)*1e9, &o)
			b.Sweep(noon + int64(i)*1e9)
			if b.Told(ClockOff, "shop/cart") {
				got.WriteByte('t')
			} else {
				got.WriteByte('-')
			}
			if told := b.Told(ClockOff, "shop/cart"); told != (len(b.List()) == 1) {
				t.Errorf("%s: told is %v, and the list has %d", name, told, len(b.List()))
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", name, c.looks, got.String(), c.want)
		}
	}
}

// TestBookIsBounded: what has no room is left out and counted, and room comes back.
func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	var b Book
	for look := range 3 {
		for i := range maxEntries + 10 {
			o := Opined{Kind: ClockOff, Opinion: Wrong, Finding: telemetry.Finding{Kind: string(ClockOff), Subject: strconv.Itoa(i)}}
			b.Note(noon+int64(look)*1e9, &o)
		}
	}
	if len(b.List()) != maxTold || len(b.entries) != maxEntries || b.Left() == 0 {
		t.Errorf("%d told, %d held, %d left out", len(b.List()), len(b.entries), b.Left())
	}
	b.Sweep(noon + int64(10*time.Minute))
	if len(b.List()) != 0 || len(b.entries) != 0 || b.told != 0 {
		t.Errorf("after ten minutes %d told, %d held", len(b.List()), len(b.entries))
	}
}
