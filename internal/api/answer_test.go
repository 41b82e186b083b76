package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// TestAnswersAreBounded: one that is too large, and one that there is no memory for, are refused and counted; what was reserved is given back.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	memory := ledger.New(1<<20, nil).Account("answers", 0)
	w := shop(newWorld(t, func(p *plan) { p.cfg.MaxAnswerBytes, p.deps.Memory = 1<<20, memory }))
	if rec := w.ask("GET", "/api/v1/graph"); rec.Code != http.StatusOK || memory.Used() != 0 {
		t.Errorf("with room it is answered %d, and %d bytes stay reserved", rec.Code, memory.Used())
	}
	if !memory.Take(1 << 20) {
		t.Fatal("no memory at all")
	}
	rec := w.ask("GET", "/api/v1/graph")
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || w.counter(t, "binnacle_api_refused_total", "reason", "memory") != 1 {
		t.Errorf("without memory it is answered %d %s", rec.Code, rec.Body)
	}
	memory.Give(1 << 20)
	large := newWorld(t, func(p *plan) {
		p.cfg.MaxAnswerBytes = 1 << 20
		p.status = func() binnacle.Status { return binnacle.Status{Name: strings.Repeat("x", 2<<20)} }
	})
	rec = large.ask("GET", "/api/v1/status")
	if rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "max_answer_bytes") || large.counter(t, "binnacle_api_refused_total", "reason", "answer") != 1 {
		t.Errorf("an answer of 2 MiB is answered %d %.200s", rec.Code, rec.Body)
	}
}
