package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *plan) {
		p.status = func() binnacle.Status {
			return binnacle.Status{Ports: []binnacle.Port{{Name: "otlp_http", Address: "[::]:14318"}, {Name: "mesh", Address: "127.0.0.1:19091"}}}
		}
	})
	for _, c := range []struct {
		path   string
		kind   string
		has    []string
		lacks  string
		header []string
	}{
		{"/api/v1/connect/envoy", "text/yaml; charset=utf-8", []string{
			"# 127.0.0.1:19091 is reached from this machine only; listen.mesh", `{address: "127.0.0.1", port_value: 19091}`, "HttpConnectionManager", "my-service",
		}, "9091}\n\n", nil},
		{"/api/v1/connect/envoy?part=cluster&host=binnacle.mesh.svc", "text/yaml; charset=utf-8", []string{
			"type: STRICT_DNS", `{address: "binnacle.mesh.svc", port_value: 19091}`,
		}, "#  ", nil},
		{"/api/v1/connect/envoy?part=rate_limit&domain=shop", "text/yaml; charset=utf-8", []string{`domain: "shop"`}, "tracing", nil},
		{"/api/v1/connect/opentelemetry?service=cart", "text/plain; charset=utf-8", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://binnacle.local:14318\n", "OTEL_SERVICE_NAME=cart",
		}, "this machine only", []string{"Host", "binnacle.local:8700"}},
		{"/api/v1/connect/opentelemetry", "text/plain; charset=utf-8", []string{"http://[::1]:14318\n"}, "", []string{"Host", "[::1]"}},
	} {
		got := w.ask("GET", c.path, c.header...)
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s: %d %s: %s", c.path, got.Code, got.Header().Get("Content-Type"), got.Body)
		}
		for _, want := range c.has {
			if !strings.Contains(got.Body.String(), want) {
				t.Errorf("%s lacks %q:\n%s", c.path, want, got.Body)
			}
		}
		if c.lacks != "" && strings.Contains(got.Body.String(), c.lacks) {
			t.Errorf("%s has %q:\n%s", c.path, c.lacks, got.Body)
		}
	}
}

func TestConnectRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *plan) {
		p.status = func() binnacle.Status {
			return binnacle.Status{Ports: []binnacle.Port{{Name: "mesh", Address: "[::]:9091"}}}
		}
	})
	for _, c := range []struct {
		path, says string
		status     int
	}{
		{"/api/v1/connect/envoy?part=nothing", "only bootstrap, cluster", http.StatusBadRequest},
		{"/api/v1/connect/envoy?host=a%20b", "host", http.StatusBadRequest},
		{"/api/v1/connect/envoy?service=%22%0Aadmin:%20{}", "service", http.StatusBadRequest},
		{"/api/v1/connect/envoy?domain=a,b", "domain", http.StatusBadRequest},
		{"/api/v1/connect/opentelemetry", "listen.otlp_http", http.StatusNotFound},
		{"/api/v1/connect/zipkin", "only for envoy and opentelemetry", http.StatusNotFound},
	} {
		got := w.ask("GET", c.path)
		if got.Code != c.status || !strings.Contains(got.Body.String(), c.says) {
			t.Errorf("%s: %d %s; want %d with %q", c.path, got.Code, got.Body, c.status, c.says)
		}
	}
}
