package topology

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// What is found, over a restart (telemetry/findings/restart.go): the book of what is told, and of what was noticed of each service what a look
// cannot see again within seconds: how regularly it sends, as whom it reports, what its operations are called. It is a section of the checkpoint of its own, as the annals are.
// Not kept are the latest looks, clocks that were compared, and calls that were held against requests: they are seen again while what rests on them goes on being told.

// Doubts are what is found, and what was noticed. They are saved and loaded as a Topology is, after it.
type Doubts struct{ t *Topology }

// Doubts is the part of the state that says why the graph may be wrong.
func (t *Topology) Doubts() *Doubts { return &Doubts{t} }

const (
	doubtsMagic   = "BINDOUB"
	doubtsVersion = 1
)

// Save writes them. Equal doubts are equal bytes.
func (d *Doubts) Save(w io.Writer) error {
	t := d.t
	t.mu.Lock()
	e := saver{t: t, b: append([]byte(doubtsMagic), doubtsVersion)}
	e.noticed()
	e.findings(t.doubts.pastFindings())
	t.mu.Unlock()
	e.b = binary.LittleEndian.AppendUint32(e.b, crc32.Checksum(e.b, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := w.Write(e.b); err != nil {
		return fmt.Errorf("save findings: %w", err)
	}
	return nil
}

func (e *saver) noticed() {
	var of []*node
	for id, n := range e.t.nodes.list {
		if n != nil && id != nowhere && n.noticed != nil {
			of = append(of, n)
		}
	}
	slices.SortFunc(of, func(a, b *node) int { return compareNodes(a.key, b.key) })
	e.uint(uint64(len(of)))
	for _, n := range of {
		k := n.noticed
		e.str(n.key.Namespace)
		e.str(n.key.Name)
		for _, p := range [...]*pace{&k.spans, &k.logs} {
			for _, v := range [...]int64{p.last, p.longest, p.before, p.usual, p.term} {
				e.int(v)
			}
		}
		for side := range k.begun {
			e.int(int64(math.Round(k.begun[side])))
		}
		for _, n := range k.reports {
			e.uint(n)
		}
		e.b = binary.LittleEndian.AppendUint64(e.b, k.operations)
		e.int(k.untraced)
		e.uint(uint64(len(k.replicas)))
		for i := range k.replicas {
			r := &k.replicas[i]
			e.b = binary.LittleEndian.AppendUint64(e.b, r.hash)
			e.str(r.name)
			e.bool(r.evidence == telemetry.EvidenceLog)
			e.bool(r.second)
			e.int(r.first)
			e.int(r.last)
			for _, v := range [...]uint64{r.reports, r.base, r.half, r.at} {
				e.uint(v)
			}
		}
	}
}

func (e *saver) findings(all []pastFinding) {
	e.uint(uint64(len(all)))
	for i := range all {
		f := &all[i]
		e.int(f.from)
		e.int(f.until)
		for _, s := range [...]string{f.Kind, f.Subject, f.Says, f.Remedy} {
			e.str(s)
		}
		e.int(f.Since.UnixNano())
		e.b = append(e.b, byte(f.Severity))
		e.uint(f.Count)
		for _, list := range [...][]string{f.Evidence, f.Nodes, f.Edges} {
			e.uint(uint64(len(list)))
			for _, s := range list {
				e.str(s)
			}
		}
	}
}

// Prepare is as Topology.Prepare.
func (d *Doubts) Prepare(r io.Reader) (use func(), err error) {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("load findings: %w", err)
	}
	b := buf.Bytes()
	const head, tail = len(doubtsMagic) + 1, 4
	switch {
	case len(b) < head+tail || string(b[:len(doubtsMagic)]) != doubtsMagic:
		return nil, errors.New("load findings: these are none; begin empty and replay the log")
	case b[head-1] != doubtsVersion:
		return nil, fmt.Errorf("load findings: version %d is not known to this binary (it knows %d); begin empty and replay the log", b[head-1], doubtsVersion)
	case crc32.Checksum(b[:len(b)-tail], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[len(b)-tail:]):
		return nil, errors.New("load findings: the checksum is wrong, they are damaged; begin empty and replay the log")
	}
	l := &loader{b: b[head : len(b)-tail], version: checkpointVersion}
	all, found := l.noticed(), l.findings()
	if l.err == nil && len(l.b) > 0 {
		l.fail(errNonsense)
	}
	if l.err != nil {
		return nil, fmt.Errorf("load findings: %w; begin empty and replay the log", l.err)
	}
	return func() { d.t.useDoubts(all, found) }, nil
}

func (l *loader) noticed() map[telemetry.Node]*noticed {
	all := map[telemetry.Node]*noticed{}
	for range l.count(26) {
		key := telemetry.Node{Kind: telemetry.NodeService, Namespace: l.str(), Name: l.str()}
		k := &noticed{}
		for _, p := range [...]*pace{&k.spans, &k.logs} {
			for _, v := range [...]*int64{&p.last, &p.longest, &p.before, &p.usual, &p.term} {
				*v = l.int()
			}
		}
		for side := range k.begun {
			k.begun[side] = float64(l.int())
		}
		for i := range k.reports {
			k.reports[i] = l.uint()
		}
		k.operations = binary.LittleEndian.Uint64(l.eight())
		k.untraced = l.int()
		n := l.count(17)
		if n > maxReplicas {
			l.fail(errNonsense)
		}
		for range n {
			r := replica{hash: binary.LittleEndian.Uint64(l.eight()), name: l.str()}
			if l.bool() {
				r.evidence = telemetry.EvidenceLog
			}
			r.second, r.first, r.last = l.bool(), l.int(), l.int()
			for _, v := range [...]*uint64{&r.reports, &r.base, &r.half, &r.at} {
				*v = l.uint()
			}
			if r.at > k.reports[r.evidence] || r.base > r.at || len(r.name) > maxReplica {
				l.fail(errNonsense)
			}
			k.replicas = append(k.replicas, r)
		}
		if l.err != nil {
			return nil
		}
		if all[key] != nil {
			l.fail(errNonsense)
		}
		all[key] = k
	}
	return all
}

func (l *loader) findings() (all []pastFinding) {
	for range l.count(12) {
		f := pastFinding{from: l.int(), until: l.int()}
		f.Kind, f.Subject, f.Says, f.Remedy, f.Since = l.str(), l.str(), l.str(), l.str(), time.Unix(0, l.int())
		f.Severity, f.Count = telemetry.Severity(l.byte(uint8(telemetry.SeverityInfo))), l.uint()
		for _, list := range [...]*[]string{&f.Evidence, &f.Nodes, &f.Edges} {
			for range l.count(1) {
				*list = append(*list, l.str())
			}
		}
		if f.until < f.from {
			l.fail(errNonsense)
		}
		all = append(all, f)
	}
	return all
}

// useDoubts takes over what was read, of the services that the graph has.
func (t *Topology) useDoubts(all map[telemetry.Node]*noticed, found []pastFinding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubts = doubts{}
	for id, n := range t.nodes.list {
		if n == nil || id == nowhere {
			continue
		}
		if n.noticed = all[n.key]; n.noticed != nil {
			t.watchService(n)
		}
	}
	t.recallFindings(found)
}

// watchService has a service looked at each second from now on.
func (t *Topology) watchService(n *node) {
	phase := n.hash % phases
	t.doubts.phases[phase] = append(t.doubts.phases[phase], n)
}

// resumeDoubts is called at the first look since the state was loaded, or derived from the log: nothing was looked at until now, and of what did not come meanwhile nobody knows.
func (t *Topology) resumeDoubts(now int64) {
	d := &t.doubts
	d.resumed = now
	d.book.Resume(now)
	faded := math.Exp(-float64(now-t.now) / float64(signal.Tick*600)) // as much as in so many looks
	for _, list := range d.phases {
		for _, n := range list {
			if n.noticed != nil {
				for side := range n.noticed.begun {
					n.noticed.begun[side] *= faded
				}
			}
		}
	}
}

// note takes in what a look made of something.
func (t *Topology) note(o *findings.Opined) {
	if d := &t.doubts; d.resumed != 0 && t.now-d.resumed < int64(findings.SettlesIn) {
		d.book.NoteEarly(t.now, o)
	} else {
		d.book.Note(t.now, o)
	}
}
