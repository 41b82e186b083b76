package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestHealthyThoughNotReady: a server whose log cannot be written gets no traffic and is not restarted, and both answers say why.
func TestHealthyThoughNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mu.Lock()
	w.readyErr = errors.New("the log can not be written: no space left on device")
	w.mu.Unlock()
	for path, want := range map[string]int{"/-/ready": http.StatusServiceUnavailable, "/-/healthy": http.StatusOK} {
		if rec := w.ask("GET", path); rec.Code != want || !strings.Contains(rec.Body.String(), "no space left on device") {
			t.Errorf("%s: %d %s, want %d and the reason", path, rec.Code, rec.Body, want)
		}
	}
}
