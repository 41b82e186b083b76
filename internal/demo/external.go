package demo

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// startExternal stands in for a host outside the mesh, on a loopback port of the kernel's choice, which it returns. It
// answers its operations after their time, and knows nothing of traces.
func (m *Mesh) startExternal(e external) (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // does not wait for anything
	if err != nil {
		return 0, fmt.Errorf("listen for the stand-in of %s: %w", e.host, err)
	}
	stand := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, op := range e.operations {
				if op.fits(r.Method, r.URL.Path) {
					pause(r.Context(), op.work)
					fmt.Fprintln(w, `{"status":"accepted"}`)
					return
				}
			}
			http.NotFound(w, r)
		}),
	}
	m.stands = append(m.stands, stand)
	m.parts.Go(func() {
		if err := stand.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.fail(fmt.Errorf("serve the stand-in of %s: %w", e.host, err))
		}
	})
	return listener.Addr().(*net.TCPAddr).Port, nil
}
