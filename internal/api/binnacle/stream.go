package binnacle

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/door"
)

const (
	// keepAlive is how long a stream may say nothing. Proxies between us and a
	// browser close what is silent for 30 s or more.
	keepAlive = 15 * time.Second
	// writeWithin is how long one write may take before the client counts as gone.
	writeWithin = 20 * time.Second
)

// errMemory ends a stream for whose snapshot there is no memory; its client comes back by itself.
var errMemory = errors.New("no memory for a snapshot")

// stream sends the live graph as server-sent events (WHATWG HTML, section 9.2): a
// snapshot, then deltas. A client that comes back with Last-Event-ID gets a snapshot as
// well, for what it missed is not kept.
func (d *Dialect) stream(w http.ResponseWriter, r *http.Request) error {
	v, folds, err := viewportOf(r.URL)
	if err != nil {
		return err
	}
	from := door.Client(r.RemoteAddr)
	if err := d.hub.join(from, d.deps.MaxStreams, d.deps.MaxStreamsPerAddress); err != nil {
		return &api.Error{Status: http.StatusServiceUnavailable, Detail: err.Error(), Refused: "streams", RetryAfter: 5}
	}
	defer d.hub.leave(from)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		s := &streamWriter{w: w, rc: http.NewResponseController(w)}
		s.write([]byte("retry: 1000\n\n"))
		if d.follow(r.Context(), s, folds) {
			d.followFolded(r.Context(), s, v)
		}
		if errors.Is(s.err, os.ErrDeadlineExceeded) {
			d.metrics.ended.WithLabelValues("unread").Inc()
		}
	}
	return nil
}

// follow writes a stream's events until the client, the server or ctx ends it; or, for who folds, until the graph is so large
// that it is to be folded from here on: then it returns true.
func (d *Dialect) follow(ctx context.Context, s *streamWriter, folds bool) (outgrown bool) {
	d.hub.want(1)
	defer d.hub.want(-1)
	if g, _ := d.hub.now(); folds && g != nil && large(g) {
		return true
	}
	seen := d.sendSnapshot(s, "join")
	idle := time.NewTimer(keepAlive)
	defer idle.Stop()
	for s.err == nil {
		frames, late, wake := d.hub.after(seen)
		if g, _ := d.hub.now(); folds && g != nil && large(g) {
			return true
		}
		switch {
		case late:
			seen = d.sendSnapshot(s, "slow")
			continue
		case len(frames) > 0:
			s.write(frames...)
			seen += uint64(len(frames))
			continue
		}
		idle.Reset(keepAlive)
		select {
		case <-wake:
		case <-idle.C:
			s.write([]byte(": still here\n\n"))
		case <-ctx.Done():
			return false
		case <-d.hub.done:
			return false
		}
	}
	return false
}

// sendSnapshot sends the whole graph and returns the frame it stands for.
func (d *Dialect) sendSnapshot(s *streamWriter, reason string) uint64 {
	g, seq := d.hub.snapshot()
	e := d.graphs.hold(g)
	if e == nil {
		d.refuseSnapshot(s, g.Version)
		return seq
	}
	defer d.graphs.letGo(e)
	s.write(appendEvent(nil, "snapshot", g.Version), e.json, []byte("\n\n"))
	d.metrics.snapshots.WithLabelValues(reason).Inc()
	return seq
}

// refuseSnapshot ends a stream for whose next event there is no memory.
func (d *Dialect) refuseSnapshot(s *streamWriter, version uint64) {
	d.metrics.ended.WithLabelValues("memory").Inc()
	s.write(appendEvent(nil, "end", version), []byte(`"no memory for another snapshot now: others do not read theirs"`), []byte("\n\n"))
	s.err = cmp.Or(s.err, errMemory)
}

// A streamWriter writes and flushes, each time within writeWithin, until the
// first error.
type streamWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	err error
}

func (s *streamWriter) write(parts ...[]byte) {
	if s.err == nil {
		s.err = s.rc.SetWriteDeadline(time.Now().Add(writeWithin))
		if errors.Is(s.err, http.ErrNotSupported) {
			s.err = nil // a server that knows no deadline has its own way to end a write
		}
	}
	for _, p := range parts {
		if s.err == nil {
			_, s.err = s.w.Write(p)
		}
	}
	if s.err == nil {
		s.err = s.rc.Flush()
	}
}
