package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Whatever is asked of a store of which a part cannot be read, each dialect says so in its own way and names the file. Of a whole
// store none does.
func TestDamageIsTold(t *testing.T) {
	t.Parallel()
	const file, reason = "0000000000000001-0000000000000002/spans.parquet", "checksum does not match"
	w := shop(newWorld(t, func(*plan) {}))
	var id string
	for known := range w.store.batches {
		id = known.String()
	}
	span := "query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-12-30T00:00:00Z"
	asks := []struct {
		path   string
		status int
	}{
		{"/api/v1/traces?from=2026-01-01T00:00:00Z&to=2026-12-30T00:00:00Z", http.StatusOK},
		{"/api/v1/traces/" + id, http.StatusOK},
		{"/api/v1/traces/eee", http.StatusNotFound},
		{"/api/v1/services", http.StatusOK},
		{"/api/traces?service=cart", http.StatusOK},
		{"/api/traces?traceID=" + id, http.StatusOK},
		{"/api/traces/" + id, http.StatusOK},
		{"/api/traces/eee", http.StatusNotFound},
		{"/api/v3/traces?" + span, http.StatusOK},
		{"/api/v3/trace-summaries?" + span, http.StatusOK},
		{"/api/v3/traces/" + id, http.StatusOK},
		{"/api/v3/traces/eee", http.StatusNotFound},
	}
	for _, damaged := range []bool{false, true} {
		w.store.damaged = nil
		if damaged {
			w.store.damaged = []telemetry.Damage{{File: file, Reason: reason}}
		}
		for _, a := range asks {
			rec := w.ask("GET", a.path)
			said := rec.Body.String() + rec.Header().Get("Binnacle-Incomplete")
			if rec.Code != a.status || strings.Contains(said, file) != damaged || strings.Contains(said, reason) != damaged {
				t.Errorf("damaged: %v, %s is answered %d %.300s %v", damaged, a.path, rec.Code, rec.Body, rec.Header())
			}
		}
	}
}
