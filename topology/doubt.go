package topology

import (
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// Why the graph may be wrong. Each service that reports is looked at when its health is (health.go), with its edges: what its witnesses told of, how clocks compare, who reports
// as it. What joins two services is looked at once a second. Package findings judges; what it finds is in the graph, and marks the nodes and edges where it is.
//
// The work of a look is in proportion to the edges, as that of health is, and is spread over the second in the same way; nothing is looked at that has had no traffic for six minutes.
type doubts struct {
	phases  [phases][]*node // those that are looked at in each tenth of a second
	book    findings.Book
	mesh    findings.Mesh
	answers map[answerKey]*answer
	told    []telemetry.Finding // all that is told now; never changed in place
	since   []int64             // of each, since when it is told, Unix ns
	over    []pastFinding       // see found.go
	where   uint64              // a hash of where that is
	counted [2]int              // of the present second: services that have been looked at, and that have sent spans in the last minute
	kept    []float64           // what the services keep, of the looks of the present second
	service findings.Service    // memory
	resumed int64               // when the first look was since the state was loaded; 0: it never was
}

// phases is in how many parts a second is cut, so that no tick has all services.
const phases = 10

// noticesASecond is how many edges are looked at in a second, about; where there are more the second becomes two, three and so on.
const noticesASecond = 20_000

// tally is what was told of a service between two looks.
type tally struct {
	in, out [telemetry.Witnesses]uint32
	begun   [2]int32 // below 0 where halves that were counted before are counted elsewhere now
	at      int64
}

// totals is what was told of a service up to a look: of what came to it, and what it made.
type totals struct {
	in, out findings.Seen
	// Of its own spans those that were sampled, as they say, and for how many requests those stand.
	sampled, standFor uint64
}

// since is what was told between two looks; ok is false where an edge went meanwhile, with all that was counted on it. The sums of a window would not do: one of a second that is looked at every
// second holds two batches of a sender that sends every second, or one, for as long as their phases happen to be so.
func (now *totals) since(before *totals, to *tally) (ok bool) {
	for w := range now.in {
		if now.in[w] < before.in[w] || now.out[w] < before.out[w] {
			return false
		}
		to.in[w], to.out[w] = uint32(now.in[w]-before.in[w]), uint32(now.out[w]-before.out[w]) //nolint:gosec // of a second or two
	}
	return true
}

// noticeDue looks at the services whose turn came after the time before.
func (t *Topology) noticeDue(before int64) {
	turn := t.turnOfLooks()
	now, last := t.now/signal.Tick, before/signal.Tick
	for tick := max(last+1, now-phases+1); tick <= now; tick++ {
		list := t.doubts.phases[tick%phases]
		for i := 0; i < len(list); i++ {
			n := list[i]
			if n.noticed == nil { // it has gone
				list[i] = list[len(list)-1]
				list = list[:len(list)-1]
				i--
				continue
			}
			if (uint64(tick/phases)+n.hash/phases)%turn == 0 { //nolint:gosec // not negative
				t.notice(n)
			}
		}
		clear(t.doubts.phases[tick%phases][len(list):])
		t.doubts.phases[tick%phases] = list
	}
}

// turnOfLooks is every how many seconds a service is looked at.
func (t *Topology) turnOfLooks() uint64 { return uint64(1 + t.edges.live/noticesASecond) } //nolint:gosec // not negative

// notice looks at a service.
func (t *Topology) notice(n *node) {
	k := n.noticed
	k.spans.passes(t.now)
	k.logs.passes(t.now)
	if t.doubts.book.Told(findings.ServiceRenamed, n.drawnID()) || t.now-n.reported > long && !n.called(t.now-long) {
		return
	}
	s := &t.doubts.service
	*s = findings.Service{
		ID: n.drawnID(), Name: n.key.Name, Now: t.now, Since: n.since, Spans: k.spans.of(), Logs: k.logs.of(),
		SamplesLess: t.doubts.book.Told(findings.SamplingDiffers, n.drawnID()),
		Callers:     s.Callers[:0], Callees: s.Callees[:0], Replicas: k.appendReplicas(s.Replicas[:0]),
	}
	k.fadeReplicas(t.now)
	if t.doubts.book.Told(findings.NoTracer, n.drawnID()) {
		k.untraced = t.now
	}
	s.Traced = k.traced(t.now)
	if t.doubts.book.Told(findings.ReportedTwice, n.drawnID()) {
		k.secondReplicas()
	}
	last := &k.looks[k.look]
	*last = tally{at: t.now}
	k.look = (k.look + 1) % recentLooks
	var ten findings.Traffic
	var all totals
	k.inStep, k.compared = 0, 0
	for _, e := range n.in {
		t.noticeEdge(n, e, true, last, &ten, &all)
	}
	for _, e := range n.out {
		t.noticeEdge(n, e, false, last, &ten, &all)
	}
	if !k.looked || !all.since(&k.totals, last) {
		*last = tally{}
	}
	k.state(&all, uint64(last.in[telemetry.ServerSpan]+last.out[telemetry.ClientSpan]))
	k.totals, k.looked = all, true
	for side := range k.begun {
		k.begun[side] += float64(last.begun[side]) - k.begun[side]/60
	}
	s.Recent = k.recent()
	s.Minute.Seconds, s.Settled.Seconds = 60, 50
	s.Minute.Roots, s.Minute.Begun = uint64(max(0, k.begun[telemetry.SideClient])), uint64(max(0, k.begun[telemetry.SideServer]))
	s.Settled.Begun = s.Minute.Begun * 5 / 6
	for w := range s.Minute.In {
		s.Settled.In[w] = s.Minute.In[w] - min(s.Minute.In[w], ten.In[w])
		s.Settled.Out[w] = s.Minute.Out[w] - min(s.Minute.Out[w], ten.Out[w])
	}
	if r := k.rooted; r != nil {
		s.Rooted = findings.Rooted{Calls: r.made, Within: r.within, Chance: r.chance(t.now)}
	}
	if k.kept > 0 {
		s.Stated = k.kept / k.standFor
	}
	t.census(k, s)
	for _, o := range findings.Look(s, &t.doubts.mesh) {
		t.note(&o)
	}
}

// state notes what a service's spans say of their sampler, by those between two looks, of which own are its own. Where most say nothing, so does the service.
func (k *noticed) state(now *totals, own uint64) {
	before := &k.totals
	if !k.looked || own == 0 || now.sampled < before.sampled || now.standFor < before.standFor {
		return
	}
	sampled, standFor := now.sampled-before.sampled, now.standFor-before.standFor
	if 2*sampled < own {
		k.kept, k.standFor = 0, 0
		return
	}
	own = max(own, sampled)
	k.kept = k.kept*59/60 + float64(own)
	k.standFor = k.standFor*59/60 + float64(own-sampled+standFor)
}

// long is after how long without traffic nothing is to be seen of an edge, in nanoseconds.
const long = int64(360e9)

// noTraffic is after how long without any the window of a minute is empty, in nanoseconds: it may be one of its slots longer.
const noTraffic = int64(70e9)

// called says that there was traffic to a node after a time.
func (n *node) called(after int64) bool {
	return slices.ContainsFunc(n.in, func(e *edge) bool { return e.last > after })
}

// noticeEdge takes in one of the edges of node n, one that leads to it or one that leads away.
func (t *Topology) noticeEdge(n *node, e *edge, in bool, last *tally, ten *findings.Traffic, all *totals) {
	s := &t.doubts.service
	side, other, to, toTen, toAll := telemetry.SideServer, e.src, &s.Minute.In, &ten.In, &all.in
	if !in {
		side, other, to, toTen, toAll = telemetry.SideClient, e.dst, &s.Minute.Out, &ten.Out, &all.out
	}
	if e.protocol == telemetry.ProtocolDatabase || e.protocol == telemetry.ProtocolMessaging {
		return // nobody logs those
	}
	for w, n := range e.seen(ever) {
		toAll[w] += n
	}
	e.standFor(side, all)
	if t.now-e.last > long {
		return
	}
	last.begun[side] += int32(e.begun[side] - e.begunBefore[side]) //nolint:gosec // a second's
	e.begunBefore[side] = e.begun[side]
	var minute, tenSeconds findings.Seen
	var met uint64
	if t.now-e.last < noTraffic {
		e.advance(t.tick)
		tenSeconds, minute, met = e.told()
		for w := range minute {
			toTen[w] += tenSeconds[w]
			to[w] += minute[w]
		}
	}
	p := t.nodes.list[other]
	if other == nowhere || e.fromUnknown {
		return
	}
	peer := findings.Peer{ID: p.drawnID(), Name: p.key.Name, Edge: t.drawnID(e), Protocol: e.protocol, Clock: e.clocks.of(in)}
	peer.Said = minute[telemetry.ClientSpan] - min(minute[telemetry.ClientSpan], tenSeconds[telemetry.ClientSpan])
	peer.Met = met
	peer.Logged = max(minute[telemetry.ClientLog], minute[telemetry.ServerLog])
	if findings.InStep(&peer.Clock) {
		n.noticed.inStep++
	}
	if findings.Compared(&peer.Clock) {
		n.noticed.compared++
	}
	if p.noticed != nil {
		peer.InStep, peer.Compared = p.noticed.inStep, p.noticed.compared
	}
	if in {
		if t.now-e.last < noTraffic && !s.Spans.Fresh(t.now) {
			s.Answered += e.answeredWell()
		}
		s.Callers = append(s.Callers, peer)
	} else {
		s.Callees = append(s.Callees, peer)
	}
}

// standFor adds, of the spans that one side sent, those that were sampled.
func (e *edge) standFor(side telemetry.Side, all *totals) {
	if e.sampled == nil {
		return
	}
	for _, slot := range [...][2]int{telemetry.SideClient: {int(telemetry.ClientSpan), -1}, telemetry.SideServer: {int(telemetry.ServerSpan), aloneSlot}}[side] {
		if slot < 0 {
			continue
		}
		if s := e.sampledIn(slot); s != nil {
			all.sampled += s.Spans
			all.standFor += uint64(s.Requests())
		}
	}
}

// answeredWell is how many requests went well, as the callers tell, that are between ten seconds and a minute old.
func (e *edge) answeredWell() (n uint64) {
	for _, w := range [...]telemetry.Witness{telemetry.ClientSpan, telemetry.ClientLog} {
		if a := e.acc[w]; a != nil {
			minute, ten := a.Sums(signal.Minute), a.Sums(signal.TenSeconds)
			n = max(n, minute.Requests-minute.Errors-min(minute.Requests-minute.Errors, ten.Requests-ten.Errors))
		}
	}
	return n
}

// recent is what the latest looks saw, without those that are older than that.
func (k *noticed) recent() (out findings.Traffic) {
	newest, roots, begun := int64(0), int64(0), int64(0)
	for i := range k.looks {
		newest = max(newest, k.looks[i].at)
	}
	for i := range k.looks {
		l := &k.looks[i]
		if l.at == 0 || newest-l.at > 4*recentLooks*1e9 {
			continue
		}
		out.Seconds++
		for w := range l.in {
			out.In[w] += uint64(l.in[w])
			out.Out[w] += uint64(l.out[w])
		}
		roots, begun = roots+int64(l.begun[telemetry.SideClient]), begun+int64(l.begun[telemetry.SideServer])
	}
	out.Roots, out.Begun = uint64(max(0, roots)), uint64(max(0, begun)) //nolint:gosec // not negative
	return out
}

func (p *pace) of() findings.Pace { return findings.Pace{Last: p.last, Usual: time.Duration(p.usual)} }

// census notes what a service keeps, for the comparison with others.
func (t *Topology) census(k *noticed, s *findings.Service) {
	d := &t.doubts
	if k.spans.last > t.now-60e9 && k.spans.last > 0 {
		d.counted[1]++
	}
	if share, ok := findings.Share(s); ok && len(d.kept) < maxCensus {
		d.kept = append(d.kept, share)
	}
}

// maxCensus is of how many services the median is taken at most.
const maxCensus = 4096

// best is the most telling opinion of each subject, where several looks are of one.
type best struct{ all []findings.Opined }

func (b *best) add(o *findings.Opined) {
	if l := len(b.all); l == 0 || b.all[l-1].Finding.Subject != o.Finding.Subject {
		b.all = append(b.all, *o)
	} else if last := &b.all[l-1]; weightOf(o.Opinion) > weightOf(last.Opinion) {
		*last = *o
	}
}

func weightOf(o findings.Opinion) int {
	return [...]int{findings.Well: 0, findings.Unsure: 1, findings.Wrong: 2}[o]
}

func (b *best) note(t *Topology) {
	for i := range b.all {
		t.note(&b.all[i])
	}
}

// doubt looks, once a second, at what concerns more than one service, and has the graph tell what is found. before is when there was a look before this one.
func (t *Topology) doubt(before int64) {
	t.noticeDue(before)
	if t.now/1e9 == before/1e9 {
		return
	}
	d := &t.doubts
	if turn := int64(t.turnOfLooks()); t.now/1e9/turn != before/1e9/turn { //nolint:gosec // small
		d.mesh.Traced, d.mesh.Kept = d.counted[1], 0
		if len(d.kept) > 0 {
			slices.Sort(d.kept)
			d.mesh.Kept = d.kept[len(d.kept)/2]
		}
		d.counted, d.kept = [2]int{}, d.kept[:0]
	}
	t.renamed()
	t.answersSeen()
	d.book.Sweep(t.now)
	if d.book.Changed() {
		t.tellTurns(t.tellFindings())
	}
}

// maxNewcomers is how many new services are compared with those that fell silent.
const maxNewcomers = 256
