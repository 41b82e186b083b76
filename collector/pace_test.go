package collector

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// over is a ResponseWriter whose connection is a pipe.
type over struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (o over) SetReadDeadline(t time.Time) error { return o.conn.SetReadDeadline(t) }

// A large body over a slow line comes through, for longer than the read timeout; one that drips does not, and what it held is free.
func TestBodiesKeepThePace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		each, times int // bytes, a second apart
		slow        bool
	}{
		"a slow line": {10_000, 60, false},
		"a drip":      {10, 600, true},
		"for ever":    {10_000, 600, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in, err := New(DefaultConfig(), nil, nil, NewPool(), prometheus.NewRegistry(), time.Now)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := in.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}()
				intake := in.Intake("test")
				here, there := net.Pipe()
				gone := make(chan struct{})
				var sending sync.WaitGroup
				sending.Go(func() {
					defer there.Close()
					for range c.times {
						select {
						case <-time.After(time.Second):
						case <-gone:
						}
						if _, err := there.Write(make([]byte, c.each)); err != nil {
							return
						}
					}
				})
				r := httptest.NewRequest(http.MethodPost, "/", here)
				bodies := intake.Bodies(16 << 20)
				began := time.Now()
				msg, b, refusal := bodies.Read(over{httptest.NewRecorder(), here}, r)
				took := time.Since(began)
				switch {
				case !c.slow && (refusal != nil || len(msg) != c.each*c.times):
					t.Errorf("%d bytes came in %s: %v", len(msg), took, refusal)
				case c.slow && (refusal == nil || refusal.Reason != Slow || !strings.Contains(refusal.Error(), "receive.min_read_rate")):
					t.Errorf("%d bytes came in %s: %v", len(msg), took, refusal)
				}
				bodies.Release(b)
				if n := intake.Inflight(); n != 0 {
					t.Errorf("%d bytes are held by nobody", n)
				}
				here.Close()
				close(gone)
				sending.Wait()
			})
		})
	}
}
