package aggregator

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// unnamed stands for a service or an operation that the sender does not name.
const unnamed = "unknown"

type serviceKey struct{ namespace, name string }

// A service holds how many series each of its operations has, which is what the
// limit on operations is about.
type service struct {
	key        serviceKey
	operations map[string]int
	series     int

	waiting      int   // names that came again, since room was made last
	crowdedUntil int64 // log time up to which a name must come again
}

// names is how many operations count against the limit.
func (svc *service) names() int {
	if svc.operations[other] > 0 {
		return len(svc.operations) - 1
	}
	return len(svc.operations)
}

// operationKey is an operation series' identity; its labels say no less.
type operationKey struct {
	service, namespace, version, name string
	kind                              telemetry.SpanKind
	status                            telemetry.Status // the span's own
	outcome                           telemetry.Outcome
}

type operation struct {
	series
	key     operationKey
	service *service
}

// spanTable finds the series of a span within one batch: open addressing, keyed by
// the batch's own small numbers. A new batch empties it by a new generation.
type spanTable struct {
	slots   []spanSlot // len is a power of two
	used    int
	gen     uint32
	classes []nameClass // by StrID of the name
}

type spanSlot struct {
	gen                   uint32
	resource, name, route uint32
	class                 uint32 // kind, status and outcome
	series                *series
}

const minSlots = 256

func (t *spanTable) reset(strings int) {
	t.gen++
	if t.gen == 0 || len(t.slots) == 0 {
		t.slots, t.gen = make([]spanSlot, max(minSlots, len(t.slots))), 1
	}
	t.used = 0
	if cap(t.classes) < strings {
		t.classes = make([]nameClass, strings+strings/2)
	}
	t.classes = t.classes[:strings]
	clear(t.classes)
}

func slotHash(resource, name, route, class uint32) uint32 {
	h := uint64(name)<<32 | uint64(route)
	h = (h ^ uint64(resource)*0x9e3779b97f4a7c15 ^ uint64(class)<<17) * 0xd6e8feb86659fd93
	return uint32(h >> 32)
}

// find is the slot of a key: with its series, or free to take it.
func (t *spanTable) find(resource, name, route, class uint32) *spanSlot {
	mask := uint32(len(t.slots) - 1)
	for i := slotHash(resource, name, route, class) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.gen != t.gen {
			return s
		}
		if s.name == name && s.resource == resource && s.route == route && s.class == class {
			return s
		}
	}
}

// taken counts a slot that was filled, and grows the table.
func (t *spanTable) taken() {
	t.used++
	if 2*t.used <= len(t.slots) {
		return
	}
	old := t.slots
	t.slots = make([]spanSlot, 2*len(old))
	for i := range old {
		if s := &old[i]; s.gen == t.gen {
			*t.find(s.resource, s.name, s.route, s.class) = *s
		}
	}
}

// consumeSpans counts the batch's spans.
func (a *Aggregator) consumeSpans(b *telemetry.Batch) {
	if len(b.Spans) == 0 {
		return
	}
	t := &a.spans
	t.reset(b.Strings())
	for i := range b.Spans {
		s := &b.Spans[i]
		named := t.classes[s.Name]
		if named == nameUnknown {
			named = classify(b.Str(s.Name))
			t.classes[s.Name] = named
		}
		var route telemetry.StrID
		if named != namePlain {
			route = routeOf(b, s)
		}
		class := uint32(s.Kind)<<16 | uint32(s.Status)<<8 | uint32(s.Outcome)
		slot := t.find(s.Resource, uint32(s.Name), uint32(route), class)
		sr := slot.series
		if slot.gen != t.gen {
			sr = a.operationOf(b, s, route)
			*slot = spanSlot{t.gen, s.Resource, uint32(s.Name), uint32(route), class, sr}
			t.taken()
			sr.lastSeen = a.now
		}
		a.note(sr.fold)
		sr.observe(s.Start, s.Duration, &s.TraceID, &s.SpanID, s.Outcome == telemetry.OutcomeError)
	}
}

// routeOf is the route or URL template that instrumentation gave, or 0.
func routeOf(b *telemetry.Batch, s *telemetry.Span) (route telemetry.StrID) {
	for _, at := range b.AttrsOf(s.Attrs) {
		if at.Type != telemetry.AttrString {
			continue
		}
		switch at.Key {
		case telemetry.KeyHTTPRoute:
			return at.String()
		case telemetry.KeyURLTemplate:
			route = at.String()
		}
	}
	return route
}

func httpMethodOf(b *telemetry.Batch, s *telemetry.Span) string {
	for _, at := range b.AttrsOf(s.Attrs) {
		if (at.Key == telemetry.KeyHTTPRequestMethod || at.Key == telemetry.KeyHTTPMethod) && at.Type == telemetry.AttrString {
			if m := b.Str(at.String()); isMethod(m) {
				return m
			}
		}
	}
	return ""
}

// operationOf finds or makes the series of a span. The strings of the key are
// borrowed from the batch until it is kept.
func (a *Aggregator) operationOf(b *telemetry.Batch, s *telemetry.Span, route telemetry.StrID) *series {
	id := &b.Resources[s.Resource].Identity
	a.scratch = a.scratch[:0]
	if route != 0 {
		a.scratch = appendRouted(a.scratch, b.Str(s.Name), httpMethodOf(b, s), b.Str(route))
	} else {
		a.scratch = appendOperation(a.scratch, b.Str(s.Name))
	}
	if len(a.scratch) == 0 {
		a.scratch = append(a.scratch, unnamed...)
	}
	k := operationKey{
		service:   bounded(b.Str(id.Service)),
		namespace: bounded(b.Str(id.Namespace)),
		version:   bounded(b.Str(id.Version)),
		kind:      max(s.Kind, telemetry.KindInternal),
		status:    s.Status,
		outcome:   s.Outcome,
	}
	if k.service == "" {
		k.service = unnamed
	}
	return a.lookUpOperation(k)
}

// lookUpOperation finds or makes the series of k, whose name is in a.scratch.
func (a *Aggregator) lookUpOperation(k operationKey) *series {
	if op := a.known(&k); op != nil {
		return &op.series
	}
	svc, known := a.services[serviceKey{k.namespace, k.service}], false
	if svc != nil {
		known = svc.operations[string(a.scratch)] > 0
		folded := !known && (svc.names() >= a.cfg.MaxOperations || a.now < svc.crowdedUntil) && !a.admitName(svc, a.scratch)
		if svc.series >= max(1, a.cfg.MaxSeries/ownPart) {
			folded, k.version = true, ""
		}
		if folded {
			known, a.scratch = true, append(a.scratch[:0], other...)
			if op := a.known(&k); op != nil {
				return &op.series
			}
		}
	}
	if a.filled(lastPart) && !a.admit(known, k.hash(a.scratch)) {
		return a.overflowOperation(k.status, k.outcome)
	}
	k.name = string(a.scratch)
	return &a.addOperation(k, svc).series
}

// known is the operation of k, whose name is in a.scratch, or nil.
func (a *Aggregator) known(k *operationKey) *operation {
	// The conversion within the index expression does not allocate.
	return a.operations[operationKey{k.service, k.namespace, k.version, string(a.scratch), k.kind, k.status, k.outcome}]
}

func (a *Aggregator) addOperation(k operationKey, svc *service) *operation {
	k.service, k.namespace, k.version = strings.Clone(k.service), strings.Clone(k.namespace), strings.Clone(k.version)
	if svc == nil {
		svc = &service{key: serviceKey{k.namespace, k.service}, operations: map[string]int{}}
		a.services[svc.key] = svc
	}
	f := foldNone
	if k.name == other {
		f = foldOperations
	}
	op := &operation{key: k, service: svc, series: *a.add(k.labels(), f)}
	svc.operations[k.name]++
	svc.series++
	a.operations[k] = op
	a.opOrder = append(a.opOrder, op)
	return op
}

func (a *Aggregator) overflowOperation(status telemetry.Status, outcome telemetry.Outcome) *series {
	s := &a.opOverflow[status][outcome]
	if *s == nil {
		*s = a.newSeries(overflowLabels(status, outcome), foldSeries)
	}
	return *s
}

func overflowLabels(status telemetry.Status, outcome telemetry.Outcome) labels.Labels {
	return labels.FromStrings(labels.MetricName, canonical.Operation, canonical.Overflow, "true",
		canonical.Outcome, outcome.String(), canonical.Status, status.String())
}

func (k *operationKey) labels() labels.Labels {
	b := labels.NewScratchBuilder(8)
	b.Add(labels.MetricName, canonical.Operation)
	addLabel(&b, canonical.Kind, k.kind.String())
	addLabel(&b, canonical.Namespace, k.namespace)
	addLabel(&b, canonical.Name, k.name)
	addLabel(&b, canonical.Outcome, k.outcome.String())
	addLabel(&b, canonical.Service, k.service)
	addLabel(&b, canonical.Status, k.status.String())
	addLabel(&b, canonical.Version, k.version)
	return b.Labels()
}

// addLabel leaves out what is empty. Labels must be added in their order.
func addLabel(b *labels.ScratchBuilder, name, value string) {
	if value != "" {
		b.Add(name, value)
	}
}
