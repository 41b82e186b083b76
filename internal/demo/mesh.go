package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Mesh is a running demo mesh.
type Mesh struct {
	gateway string
	story   *story
	failed  chan error // holds the first failure

	stopLoad context.CancelFunc // customers first, so that nobody meets a half-closed shop
	load     sync.WaitGroup
	stop     context.CancelFunc // then the rest
	parts    sync.WaitGroup
	servers  []*server
	stands   []*http.Server // stand-ins for external hosts
	envoys   []*envoy
	sidecars []sidecar // of the envoys
	flaws    *flaws    // nil where none can be injected
	thread   *envoyThread
	closed   sync.Once
}

const (
	meshPatience  = 10 * time.Second // for Binnacle to listen
	envoyPatience = 30 * time.Second // for all Envoys to be ready
	closePatience = 2 * time.Second  // for the last requests to end
)

// Start starts the mesh and returns when every Envoy is ready and the load has begun. On error nothing is left running.
// ctx bounds the starting only: the mesh runs until Close, which the caller owes it.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (*Mesh, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	binary, err := FindEnvoy(cfg.Envoy)
	if err != nil {
		return nil, err
	}
	if err := awaitBinnacle(ctx, cfg.Mesh); err != nil {
		return nil, err
	}
	table := cfg.shop()
	members := plan(table)
	allotted, err := allotPorts(members, cfg.BasePort)
	if err != nil {
		return nil, err
	}
	flaws, relay := (*flaws)(nil), (*relay)(nil)
	if cfg.Flaws {
		if flaws, relay, err = newFlaws(cfg.Mesh, binary); err != nil {
			return nil, err
		}
		cfg.Mesh = relay.address
	}
	sender, err := newSpanSender(cfg.Mesh, members)
	if err != nil {
		return nil, errors.Join(err, relay.close())
	}

	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	runLoad, stopLoad := context.WithCancel(run)
	m := &Mesh{
		gateway: "127.0.0.1:" + strconv.Itoa(allotted[0].inbound),
		failed:  make(chan error, 1),
		story:   newStory(cfg),
		stop:    stop, stopLoad: stopLoad,
		thread: newEnvoyThread(), flaws: flaws,
	}
	if relay != nil {
		m.parts.Go(func() {
			if err := relay.run(run); err != nil {
				m.fail(err)
			}
		})
	}
	m.parts.Go(func() { sender.run(run, log) })
	begin := time.Now()
	if err := m.startShop(run, table, members, allotted, sender, m.story, log); err != nil {
		m.Close()
		return nil, err
	}
	if err := m.startEnvoys(ctx, binary, cfg.Mesh, table, members, allotted); err != nil {
		m.Close()
		return nil, err
	}
	log.Info("the demo mesh is up", "envoys", len(m.envoys), "gateway", m.gateway, "took", time.Since(begin).Round(time.Millisecond).String())
	if cfg.Story && cfg.Chapter == "" {
		m.parts.Go(func() { m.story.tell(run, log) })
	}
	customers := newLoad(cfg, m.gateway, m.story)
	m.load.Go(func() { customers.run(runLoad, run, log) })
	return m, nil
}

// Gateway is the host:port at which customers enter.
func (m *Mesh) Gateway() string { return m.gateway }

// PIDs are the process ids of the Envoys, for measuring them.
func (m *Mesh) PIDs() []int {
	var pids []int
	for _, e := range m.envoys {
		pids = append(pids, e.cmd.Process.Pid)
	}
	return pids
}

// Failed delivers the first failure of a part of the mesh, such as an Envoy that ended.
func (m *Mesh) Failed() <-chan error { return m.failed }

// Close ends the load, the services and the Envoys, and returns when all are gone. Requests under way may end by
// themselves for a while, so that the last thing told of the mesh is not a burst of errors. It may be called more than once.
func (m *Mesh) Close() {
	m.closed.Do(func() {
		m.stopLoad()
		cut := time.AfterFunc(closePatience, m.stop)
		m.load.Wait()
		cut.Stop()
		m.stop()
		for _, s := range m.servers {
			s.close()
		}
		for _, s := range m.stands {
			s.Close()
		}
		var ending sync.WaitGroup
		for _, e := range m.envoys {
			ending.Go(e.stop)
		}
		ending.Wait()
		m.parts.Wait()
		m.thread.close()
	})
}

// fail keeps the first failure.
func (m *Mesh) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
}

// awaitBinnacle returns when something listens on the mesh port: Binnacle may be starting beside us.
func awaitBinnacle(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, meshPatience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			return fmt.Errorf("nothing listens on Binnacle's mesh port %s: start Binnacle first (binnacle serve), or name its address: %w", address, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// startShop starts the services and the peers that have no Envoy. Ports of the services are known when it returns.
func (m *Mesh) startShop(ctx context.Context, table shop, members []member, allotted []ports, sender *spanSender, told *story, log *slog.Logger) error {
	brokers := map[string]*broker{}
	for _, q := range table.queues {
		brokers[q.name] = newBroker(q)
	}
	for i, member := range members {
		if member.gateway() {
			continue
		}
		s, err := newServer(server{
			member: member, index: i, shop: table, story: told, flaws: m.flaws, spans: sender, brokers: brokers, log: log,
			egress: "127.0.0.1:" + strconv.Itoa(allotted[i].outbound),
		})
		if err != nil {
			return err
		}
		m.servers = append(m.servers, s)
		m.parts.Go(func() {
			if err := s.run(); err != nil {
				m.fail(err)
			}
		})
		for name, op := range member.process {
			for range consumers {
				m.parts.Go(func() { s.consume(ctx, brokers[name], op) })
			}
		}
	}
	return nil
}
