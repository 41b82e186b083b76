package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip": true, "GZIP": true, "gzip;q=0.5": true, "gzip; q=0": false, "gzip;q=0.000": false, "*": true, "identity": false, "xgzip": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if got := acceptsGzip(r); got != want {
			t.Errorf("Accept-Encoding %q: %v", header, got)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	allowed := []string{"binnacle.example.com", ".corp.example"}
	for host, want := range map[string]bool{
		"127.0.0.1:8700": true, "[::1]:8700": true, "::1": true, "10.1.2.3": true, "localhost:8700": true, "LOCALHOST": true, "": true,
		"app.localhost": true, "binnacle": true, "binnacle.monitoring.svc": true, "binnacle.monitoring.svc.cluster.local:80": true, "box.internal.": true,
		"binnacle.example.com": true, "Binnacle.Example.com:443": true, "a.corp.example": true, "a.b.corp.example:1": true,
		"corp.example": false, "evilcorp.example": false, "example.com": false, "rebound.example.org:8700": false, "127.0.0.1.example.org": false, "local.example.org": false,
	} {
		if got := hostAllowed(host, allowed); got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
	if !hostAllowed("anything.example.org", []string{"*"}) {
		t.Error("a star does not allow any host")
	}
}
