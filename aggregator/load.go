package aggregator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// ErrState says that a saved state cannot be read. Nothing is lost if the log
// reaches back to its beginning; otherwise counters begin again at 0.
var ErrState = errors.New("the aggregator's saved state cannot be read")

var errStateShort = errors.New("it ends in the middle of a value")

// Load makes the aggregator, which must be new, what Save wrote. On error it is
// as it was. It must be called before the first Consume.
func (a *Aggregator) Load(r io.Reader) error {
	use, err := a.Prepare(r)
	if err == nil {
		use()
	}
	return err
}

// Prepare is the first half of Load: it reads and proves all, and changes nothing; use is the second, and cannot fail. So one
// who loads several states that belong together loads all of them or none.
func (a *Aggregator) Prepare(r io.Reader) (use func(), err error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	const header = len(stateMagic) + 1
	switch {
	case len(data) < header+4 || string(data[:len(stateMagic)]) != stateMagic:
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrState, stateMagic)
	case data[len(stateMagic)] < 1 || data[len(stateMagic)] > stateVersion:
		return nil, fmt.Errorf("%w: its version is %d and this binary knows 1 to %d; a newer one wrote it", ErrState, data[len(stateMagic)], stateVersion)
	}
	body, want := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != want {
		return nil, fmt.Errorf("%w: its checksum is wrong; the file is damaged", ErrState)
	}
	n := New(a.cfg, discard{})
	d := decoder{in: bytes.NewReader(body[header:]), a: n, version: data[len(stateMagic)]}
	d.state()
	if d.err == nil && d.in.Len() > 0 {
		d.err = fmt.Errorf("%d bytes are left over", d.in.Len())
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, d.err)
	}
	return func() {
		a.become(n)
		a.publish()
	}, nil
}

// become takes over the state of n.
func (a *Aggregator) become(n *Aggregator) {
	a.applied, a.observed, a.now, a.sweepAt = n.applied, n.observed, n.now, n.sweepAt
	a.live, a.bytes, a.crowd = n.live, n.bytes, n.crowd
	a.services, a.operations, a.opOrder = n.services, n.operations, n.opOrder
	a.edges, a.byPointer, a.edgeOrder = n.edges, n.byPointer, n.edgeOrder
	a.opOverflow, a.edgeOverflow = n.opOverflow, n.edgeOverflow
	a.stale = n.stale
}

type decoder struct {
	in      *bytes.Reader
	a       *Aggregator
	version byte
	err     error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.in.Reset(nil)
}

func (d *decoder) uint() uint64 {
	v, err := binary.ReadUvarint(d.in)
	if err != nil {
		d.fail(errStateShort)
		return 0
	}
	return v
}

func (d *decoder) int() int64 {
	v, err := binary.ReadVarint(d.in)
	if err != nil {
		d.fail(errStateShort)
		return 0
	}
	return v
}

// below reads a number that must be less than n.
func (d *decoder) below(n uint64) uint64 {
	v := d.uint()
	if v >= n {
		d.fail(fmt.Errorf("a value is %d where less than %d is possible", v, n))
		return 0
	}
	return v
}

// count reads how many things follow, of at least size bytes each.
func (d *decoder) count(size int) int {
	v := d.uint()
	if v > uint64(d.in.Len()/size) {
		d.fail(errStateShort)
		return 0
	}
	return int(v)
}

func (d *decoder) str() string {
	b := make([]byte, d.count(1))
	if _, err := io.ReadFull(d.in, b); err != nil && len(b) > 0 {
		d.fail(errStateShort)
		return ""
	}
	return string(b)
}

func (d *decoder) state() {
	a := d.a
	a.applied = telemetry.Position(d.uint())
	a.observed = a.applied
	a.now = d.int()
	a.sweepAt = d.int()
	for range d.count(13) {
		d.operation()
	}
	for range d.count(20) {
		d.edge()
	}
	for i := range a.opOverflow {
		if d.version == 1 {
			if d.below(2) == 1 {
				d.retired(overflowLabels(telemetry.Status(i), 0))
			}
			continue
		}
		for j := range a.opOverflow[i] {
			if d.below(2) == 1 {
				d.series(a.overflowOperation(telemetry.Status(i), telemetry.Outcome(j)))
			}
		}
	}
	for i := range a.edgeOverflow {
		switch d.below(3) {
		case 1:
			d.series(a.overflowEdge(telemetry.Outcome(i)))
		case 2:
			s := a.overflowEdge(telemetry.Outcome(i))
			d.series(s)
			d.series(a.companion(s))
		default:
		}
	}
	if d.version >= 3 {
		d.crowd()
	}
}

func (d *decoder) operation() {
	k := operationKey{service: d.str(), namespace: d.str(), version: d.str(), name: d.str()}
	k.kind = telemetry.SpanKind(d.below(uint64(telemetry.KindConsumer) + 1))
	k.status = telemetry.Status(d.below(uint64(statuses)))
	if d.version == 1 {
		d.retired(k.labels())
		return
	}
	k.outcome = telemetry.Outcome(d.below(uint64(outcomes)))
	if d.err != nil {
		return
	}
	if d.a.operations[k] != nil {
		d.fail(fmt.Errorf("operation %q of %q is there twice", k.name, k.service))
		return
	}
	op := d.a.addOperation(k, d.a.services[serviceKey{k.namespace, k.service}])
	d.series(&op.series)
}

// retired reads an operation's series of version 1. It counted several outcomes
// in one, and cannot be gone on with: the next flush marks its end in the store. Its
// last sample is not written again, since the store may hold a later one.
func (d *decoder) retired(ls labels.Labels) {
	s := d.a.newSeries(labels.NewBuilder(ls).Del(canonical.Outcome).Labels(), foldNone)
	d.series(s)
	s.appended = 1
	d.a.stale = append(d.a.stale, s)
}

func (d *decoder) edge() {
	key := telemetry.Edge{Source: d.endpoint(), Target: d.endpoint()}
	key.Protocol = telemetry.Protocol(d.below(uint64(telemetry.ProtocolMessaging) + 1))
	n := d.count(8)
	if d.err != nil {
		return
	}
	if d.a.edges.find(&key) != nil || n == 0 {
		d.fail(fmt.Errorf("edge %s to %s is there twice or empty", key.Source.Node.ID(), key.Target.Node.ID()))
		return
	}
	e := d.a.addEdge(&key)
	for range n {
		code := d.int()
		if code == takenCode {
			last := len(e.series) - 1
			if last < 0 || e.series[last].taken != nil {
				d.fail(fmt.Errorf("edge %s to %s had something taken back of no series", key.Source.Node.ID(), key.Target.Node.ID()))
				return
			}
			d.series(d.a.companion(e.series[last]))
			continue
		}
		v := variant{
			code:     int32(code),
			flags:    telemetry.ResponseFlags(d.below(1 << 32)),
			side:     telemetry.Side(d.below(sideAlone + 1)),
			evidence: telemetry.Evidence(d.below(2)),
			outcome:  telemetry.Outcome(d.below(uint64(outcomes))),
			tls:      telemetry.TLS(d.below(uint64(telemetry.TLSMutual) + 1)),
		}
		if v.side == sideAlone {
			v.side, v.alone = telemetry.SideServer, true
		}
		if d.err == nil && (int64(v.code) != code || slices.Contains(e.variants, v)) {
			d.fail(fmt.Errorf("edge %s to %s has a series twice, or of an impossible code", key.Source.Node.ID(), key.Target.Node.ID()))
		}
		if d.err != nil {
			return
		}
		d.series(d.a.addVariant(e, v))
	}
}

func (d *decoder) endpoint() telemetry.Endpoint {
	kind := telemetry.NodeKind(d.below(uint64(telemetry.NodeClient) + 1))
	return telemetry.Endpoint{
		Node:     telemetry.Node{Kind: kind, Cluster: d.str(), Namespace: d.str(), Name: d.str()},
		Workload: d.str(), App: d.str(), Version: d.str(), Principal: d.str(), System: d.str(),
	}
}

// maxBuckets is how many buckets a duration of 63 bits can fall into.
const maxBuckets = 64 * bucket.PerDoubling

func (d *decoder) series(s *series) {
	idle := d.below(1 << 62)
	if s.lastSeen = d.a.now - int64(idle); s.lastSeen > d.a.now {
		d.fail(errors.New("a series was seen before time began"))
	}
	l := &s.latency
	l.count, l.zero, l.sumHi, l.sumLo = d.uint(), d.uint(), d.uint(), d.uint()
	n := int(min(d.uint(), maxBuckets+1))
	low := d.int()
	if n > maxBuckets || low < -maxBuckets || low > maxBuckets {
		d.fail(fmt.Errorf("a histogram of %d buckets from %d on is impossible", n, low))
		return
	}
	l.low = int32(low)
	l.counts = make([]uint64, n)
	total := l.zero
	for i := range l.counts {
		l.counts[i] = d.uint()
		total += l.counts[i]
	}
	if d.err == nil && total != l.count {
		d.fail(fmt.Errorf("a histogram of %d counts %d in its buckets", l.count, total))
	}
}
