package demo

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// startEnvoys configures and starts every member's Envoy and returns when all of them listen. From then on an Envoy that
// ends by itself is a failure of the mesh.
func (m *Mesh) startEnvoys(ctx context.Context, binary, mesh string, table shop, members []member, allotted []ports) error {
	ca, err := newAuthority(time.Now())
	if err != nil {
		return err
	}
	inbound := map[string][]int{} // by deployment
	for i, member := range members {
		inbound[member.name()] = append(inbound[member.name()], allotted[i].inbound)
	}
	outside := map[string]int{} // by host
	for _, e := range table.externals {
		if outside[e.host], err = m.startExternal(e); err != nil {
			return err
		}
	}
	apps := map[string]int{} // by pod
	for _, s := range m.servers {
		apps[s.pod()] = s.port()
	}

	ctx, cancel := context.WithTimeout(ctx, envoyPatience)
	defer cancel()
	for i, member := range members {
		own, err := ca.issue(member.namespace, member.service)
		if err != nil {
			return err
		}
		m.sidecars = append(m.sidecars, sidecar{
			workload: member.workload, mesh: mesh, identity: own, rootPEM: ca.rootPEM,
			inbound: allotted[i].inbound, outbound: allotted[i].outbound, app: apps[member.pod()],
			upstreams: member.upstreams(inbound, outside),
		})
		e, err := m.launch(binary, m.sidecars[i])
		if err != nil {
			return err
		}
		m.envoys = append(m.envoys, e)
	}
	for i, e := range m.envoys {
		if err := e.await(ctx, m.sidecars[i].listens()...); err != nil {
			return err
		}
	}
	for _, e := range m.envoys {
		m.guard(e)
	}
	return nil
}

// launch starts an Envoy.
func (m *Mesh) launch(binary string, s sidecar) (e *envoy, err error) {
	bootstrap, err := s.bootstrap()
	if err != nil {
		return nil, err
	}
	m.thread.do(func() {
		e, err = startEnvoy(binary, s.workload.pod(), bootstrap, []string{"OTEL_RESOURCE_ATTRIBUTES=" + s.workload.resource()})
	})
	return e, err
}

// guard has the mesh fail when an Envoy ends by itself.
func (m *Mesh) guard(e *envoy) {
	m.parts.Go(func() {
		<-e.done
		if !e.told.Load() {
			m.fail(e.failure())
		}
	})
}

// listens are the ports of the Envoy.
func (s sidecar) listens() []int {
	if s.outbound == 0 {
		return []int{s.inbound}
	}
	return []int{s.inbound, s.outbound}
}

// upstreams are the ways out of the member's Envoy.
func (m member) upstreams(inbound map[string][]int, outside map[string]int) []upstream {
	var ways []upstream
	for _, c := range m.calls {
		if c.host != "" {
			ways = append(ways, upstream{cluster: "outbound|443||" + c.host, authority: c.host, ports: []int{outside[c.host]}})
			continue
		}
		way := upstream{cluster: c.target.cluster(), authority: c.target.authority(), ports: inbound[c.target.name()], rpc: c.target.rpc}
		if c.canary {
			way.canary = c.target.version
		}
		if c.target.mtls {
			way.spiffe = spiffeID(c.target.namespace, c.target.service)
		}
		ways = append(ways, way)
	}
	return ways
}

// envoyThread is an operating system thread that lives from newEnvoyThread to close. Envoys are started on it because the
// kernel ends them when the thread that started them ends, and Go ends threads as it likes.
type envoyThread struct {
	jobs chan func()
	once sync.Once
	done chan struct{}
}

func newEnvoyThread() *envoyThread {
	t := &envoyThread{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range t.jobs {
			job()
		}
	}()
	return t
}

// do runs the job on the thread and returns when it has.
func (t *envoyThread) do(job func()) {
	done := make(chan struct{})
	t.jobs <- func() { defer close(done); job() }
	<-done
}

// close lets the thread go. Call it after the last Envoy has ended.
func (t *envoyThread) close() {
	t.once.Do(func() { close(t.jobs) })
	<-t.done
}
