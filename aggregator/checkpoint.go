package aggregator

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// The state on disk; docs/format/aggregator.md draws it.
const (
	stateMagic   = "BNAGGR"
	stateVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// Save writes the state that the log determines, up to Applied. Two
// aggregators that consumed the same entries write the same bytes.
func (a *Aggregator) Save(w io.Writer) error {
	sum := crc32.New(castagnoli)
	buf := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	e := encoder{w: buf}
	_, _ = buf.WriteString(stateMagic)
	_ = buf.WriteByte(stateVersion)
	e.uint(uint64(a.applied))
	e.int(a.now)
	e.int(a.sweepAt)
	e.uint(uint64(len(a.opOrder)))
	for _, op := range a.opOrder {
		e.str(op.key.service)
		e.str(op.key.namespace)
		e.str(op.key.version)
		e.str(op.key.name)
		e.uint(uint64(op.key.kind))
		e.uint(uint64(op.key.status))
		e.series(&op.series, a.now)
	}
	e.uint(uint64(len(a.edgeOrder)))
	for _, ed := range a.edgeOrder {
		e.endpoint(&ed.key.Source)
		e.endpoint(&ed.key.Target)
		e.uint(uint64(ed.key.Protocol))
		e.uint(uint64(len(ed.series)))
		for i, s := range ed.series {
			e.variant(ed.variants[i])
			e.series(s, a.now)
		}
	}
	for i := range a.opOverflow {
		e.overflow(a.opOverflow[i], a.now)
	}
	for i := range a.edgeOverflow {
		e.overflow(a.edgeOverflow[i], a.now)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("save the aggregator's state: %w", err)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("save the aggregator's state: %w", err)
	}
	return nil
}

type encoder struct {
	w   *bufio.Writer
	tmp [binary.MaxVarintLen64]byte
}

// Errors of the buffered writer are kept by it until Flush.

func (e *encoder) uint(v uint64) { _, _ = e.w.Write(e.tmp[:binary.PutUvarint(e.tmp[:], v)]) }
func (e *encoder) int(v int64)   { _, _ = e.w.Write(e.tmp[:binary.PutVarint(e.tmp[:], v)]) }

func (e *encoder) str(s string) {
	e.uint(uint64(len(s)))
	_, _ = e.w.WriteString(s)
}

func (e *encoder) endpoint(p *telemetry.Endpoint) {
	e.uint(uint64(p.Node.Kind))
	for _, s := range [...]string{p.Node.Cluster, p.Node.Namespace, p.Node.Name, p.Workload, p.App, p.Version, p.Principal, p.System} {
		e.str(s)
	}
}

func (e *encoder) variant(v variant) {
	e.int(int64(v.code))
	e.uint(uint64(v.flags))
	e.uint(uint64(v.side))
	e.uint(uint64(v.evidence))
	e.uint(uint64(v.outcome))
	e.uint(uint64(v.tls))
}

func (e *encoder) series(s *series, now int64) {
	e.uint(uint64(now - s.lastSeen))
	l := &s.latency
	e.uint(l.count)
	e.uint(l.zero)
	e.uint(l.sumHi)
	e.uint(l.sumLo)
	e.uint(uint64(len(l.counts)))
	e.int(int64(l.low))
	for _, c := range l.counts {
		e.uint(c)
	}
}

func (e *encoder) overflow(s *series, now int64) {
	if s == nil {
		e.uint(0)
		return
	}
	e.uint(1)
	e.series(s, now)
}

// ErrState says that a saved state cannot be read. Nothing is lost if the log
// reaches back to its beginning; otherwise counters begin again at 0.
var ErrState = errors.New("the aggregator's saved state cannot be read")

var errStateShort = errors.New("it ends in the middle of a value")

// Load makes the aggregator, which must be new, what Save wrote. On error it is
// as it was. It must be called before the first Consume.
func (a *Aggregator) Load(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	const header = len(stateMagic) + 1
	switch {
	case len(data) < header+4 || string(data[:len(stateMagic)]) != stateMagic:
		return fmt.Errorf("%w: it does not begin with %q", ErrState, stateMagic)
	case data[len(stateMagic)] != stateVersion:
		return fmt.Errorf("%w: its version is %d and this binary knows %d; a newer one wrote it", ErrState, data[len(stateMagic)], stateVersion)
	}
	body, want := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != want {
		return fmt.Errorf("%w: its checksum is wrong; the file is damaged", ErrState)
	}
	n := New(a.cfg, discard{})
	d := decoder{in: bytes.NewReader(body[header:]), a: n}
	d.state()
	if d.err == nil && d.in.Len() > 0 {
		d.err = fmt.Errorf("%d bytes are left over", d.in.Len())
	}
	if d.err != nil {
		return fmt.Errorf("%w: %w", ErrState, d.err)
	}
	n.metrics = a.metrics
	*a = *n
	a.publish()
	return nil
}

type decoder struct {
	in  *bytes.Reader
	a   *Aggregator
	err error
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
		if d.below(2) == 1 {
			d.series(a.overflowOperation(telemetry.Status(i)))
		}
	}
	for i := range a.edgeOverflow {
		if d.below(2) == 1 {
			d.series(a.overflowEdge(telemetry.Outcome(i)))
		}
	}
}

func (d *decoder) operation() {
	k := operationKey{service: d.str(), namespace: d.str(), version: d.str(), name: d.str()}
	k.kind = telemetry.SpanKind(d.below(uint64(telemetry.KindConsumer) + 1))
	k.status = telemetry.Status(d.below(uint64(telemetry.StatusError) + 1))
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

func (d *decoder) edge() {
	key := telemetry.Edge{Source: d.endpoint(), Target: d.endpoint()}
	key.Protocol = telemetry.Protocol(d.below(uint64(telemetry.ProtocolMessaging) + 1))
	n := d.count(10)
	if d.err != nil {
		return
	}
	if d.a.edges[key] != nil || n == 0 {
		d.fail(fmt.Errorf("edge %s to %s is there twice or empty", key.Source.Node.ID(), key.Target.Node.ID()))
		return
	}
	e := d.a.addEdge(key)
	for range n {
		v := variant{
			code:     int32(d.int()),
			flags:    telemetry.ResponseFlags(d.below(1 << 32)),
			side:     telemetry.Side(d.below(2)),
			evidence: telemetry.Evidence(d.below(2)),
			outcome:  telemetry.Outcome(d.below(uint64(telemetry.OutcomeThrottled) + 1)),
			tls:      telemetry.TLS(d.below(uint64(telemetry.TLSMutual) + 1)),
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
	s.lastSeen = d.a.now - int64(d.uint())
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
