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
	inbound := map[string]int{} // by pod
	for i, member := range members {
		inbound[member.pod()] = allotted[i].inbound
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
		bootstrap, err := sidecar{
			workload: member.workload, mesh: mesh, identity: own, rootPEM: ca.rootPEM,
			inbound: allotted[i].inbound, outbound: allotted[i].outbound, app: apps[member.pod()],
			upstreams: member.upstreams(inbound, outside),
		}.bootstrap()
		if err != nil {
			return err
		}
		var e *envoy
		m.thread.do(func() {
			e, err = startEnvoy(binary, member.pod(), bootstrap, []string{"OTEL_RESOURCE_ATTRIBUTES=" + member.resource()})
		})
		if err != nil {
			return err
		}
		m.envoys = append(m.envoys, e)
	}
	for i, e := range m.envoys {
		listens := []int{allotted[i].inbound}
		if !members[i].gateway() {
			listens = append(listens, allotted[i].outbound)
		}
		if err := e.await(ctx, listens...); err != nil {
			return err
		}
	}
	for _, e := range m.envoys {
		m.parts.Go(func() {
			<-e.done
			m.fail(e.failure())
		})
	}
	return nil
}

// upstreams are the ways out of the member's Envoy.
func (m member) upstreams(inbound, outside map[string]int) []upstream {
	var ways []upstream
	for _, c := range m.calls {
		if c.host != "" {
			ways = append(ways, upstream{cluster: "outbound|443||" + c.host, authority: c.host, port: outside[c.host]})
			continue
		}
		way := upstream{cluster: c.target.cluster(), authority: c.target.authority(), port: inbound[c.target.pod()], rpc: c.target.rpc}
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
