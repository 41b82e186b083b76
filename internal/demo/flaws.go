package demo

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Flaw is something that goes wrong with the telemetry of one service, while the service itself goes on as ever.
type Flaw string

// The flaws.
const (
	FlawHeaders  Flaw = "headers"  // its program passes no trace headers on
	FlawTracer   Flaw = "tracer"   // its Envoy is started anew without a tracer, and its program's spans do not arrive
	FlawSampling Flaw = "sampling" // of a hundred traces it sends its spans of one
	FlawClock    Flaw = "clock"    // the clock of its machine is 3 s ahead
	FlawTwice    Flaw = "twice"    // a second proxy logs what comes in as well
	FlawReplica  Flaw = "replica"  // one of its pods is gone
	FlawRenamed  Flaw = "renamed"  // it reports under another name
	FlawAddress  Flaw = "address"  // one of its pods is gone, and another service has its address; its callers do not know
)

// Flaws are all of them.
func Flaws() []Flaw {
	return []Flaw{FlawHeaders, FlawTracer, FlawSampling, FlawClock, FlawTwice, FlawReplica, FlawRenamed, FlawAddress}
}

// How far the flaws go.
const (
	clockAhead  = 3 * time.Second
	sampledOne  = 100     // in so many
	renamedTo   = "-next" // behind the old name
	stranger    = "pricing"
	twoReplicas = "reviews" // the service that has two pods where flaws can be injected
)

// shop is the mesh's table.
func (c Config) shop() shop {
	table := theShop()
	for i := range table.services {
		if c.Flaws && table.services[i].name == twoReplicas {
			table.services[i].replicas = 2
		}
	}
	return table
}

// flaw is the one that is injected.
type flaw struct {
	kind    Flaw
	service string
}

// flaws holds it. Safe for concurrent use, but for Inject and Heal. A nil flaws has none.
type flaws struct {
	now    atomic.Pointer[flaw]
	binary string       // of Envoy
	mend   func() error // undoes what is injected
}

func newFlaws(mesh, binary string) (*flaws, *relay, error) {
	f := &flaws{binary: binary, mend: func() error { return nil }}
	f.now.Store(&flaw{})
	r, err := newRelay(mesh, f)
	return f, r, err
}

// on says that this is what is wrong.
func (f *flaws) on(kind Flaw, service string) bool {
	if f == nil {
		return false
	}
	now := f.now.Load()
	return now.kind == kind && now.service == service
}

// Inject has something go wrong with a service's telemetry, until Heal. The mesh's Config must have had Flaws. FlawReplica and FlawAddress need
// a service with two pods: reviews.
func (m *Mesh) Inject(ctx context.Context, kind Flaw, service string) error {
	switch {
	case m.flaws == nil:
		return fmt.Errorf("inject %s: the mesh was started without Config.Flaws", kind)
	case !slices.Contains(Flaws(), kind):
		return fmt.Errorf("inject %q: it is none of %v", kind, Flaws())
	case !slices.ContainsFunc(m.sidecars, func(s sidecar) bool { return s.workload.service == service }):
		return fmt.Errorf("inject %s: the shop has no service %q", kind, service)
	}
	m.flaws.now.Store(&flaw{kind, service})
	switch kind {
	case FlawTracer:
		return m.replace(ctx, service, 0, func(s sidecar) (sidecar, bool) { s.untraced = true; return s, true })
	case FlawReplica:
		return m.replace(ctx, service, 1, func(s sidecar) (sidecar, bool) { return s, false })
	case FlawAddress:
		i := slices.IndexFunc(m.sidecars, func(s sidecar) bool { return s.workload.service == stranger })
		return m.replace(ctx, service, 1, func(s sidecar) (sidecar, bool) {
			other := m.sidecars[i]
			other.workload.replica = 1
			other.inbound, other.outbound = s.inbound, s.outbound
			return other, true
		})
	default:
		return nil
	}
}

// Heal ends what Inject began.
func (m *Mesh) Heal() error {
	if m.flaws == nil {
		return nil
	}
	m.flaws.now.Store(&flaw{})
	mend := m.flaws.mend
	m.flaws.mend = func() error { return nil }
	return mend()
}

// replace stops the Envoy of one of a service's pods and starts another in its place, if there is to be one; mend brings the first back.
func (m *Mesh) replace(ctx context.Context, service string, replica int, by func(sidecar) (other sidecar, starts bool)) error {
	i := slices.IndexFunc(m.sidecars, func(s sidecar) bool { return s.workload.service == service && s.workload.replica == replica })
	if i < 0 {
		return fmt.Errorf("%s has no pod %d: flaws of replicas are for %s", service, replica, twoReplicas)
	}
	start := func(ctx context.Context, s sidecar) error {
		e, err := m.launch(m.flaws.binary, s)
		if err != nil {
			return err
		}
		m.envoys[i] = e
		m.guard(e)
		return e.await(ctx, s.listens()...)
	}
	m.flaws.mend = func() error {
		m.envoys[i].stop()
		ctx, cancel := context.WithTimeout(context.Background(), envoyPatience)
		defer cancel()
		return start(ctx, m.sidecars[i])
	}
	m.envoys[i].stop()
	if other, starts := by(m.sidecars[i]); starts {
		return start(ctx, other)
	}
	return nil
}
