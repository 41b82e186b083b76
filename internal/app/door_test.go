package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// httpPorts is a server that runs, by the address of each HTTP port, with a path and a content type that are served there.
func httpPorts(t *testing.T) map[string]struct{ addr, path, contentType string } {
	t.Helper()
	cfg := config.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	zipkin, thrift := shelf.FreeAddr(t), shelf.FreeAddr(t)
	cfg.Listen = config.Listen{OTLPHTTP: "127.0.0.1:0", Web: "127.0.0.1:0"}
	cfg.Collector = map[string]any{"receivers": map[string]any{
		"zipkin": map[string]any{"endpoint": zipkin},
		"jaeger": map[string]any{"protocols": map[string]any{"thrift_http": map[string]any{"endpoint": thrift}}},
	}}
	a, err := New(t.Context(), cfg, "test", &Logger{Logger: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	otlp, web := a.listener("otlp_http").Addr().String(), a.listener("web").Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// The web port is served last: what it answers, the others do.
	if got := post(t, web, "/api/v1/query", "application/x-www-form-urlencoded", "query=1"); got != http.StatusOK {
		t.Fatalf("the web port answers %d", got)
	}
	return map[string]struct{ addr, path, contentType string }{
		"otlp_http":          {otlp, "/v1/traces", "application/json"},
		"zipkin":             {zipkin, "/api/v2/spans", "application/json"},
		"jaeger_thrift_http": {thrift, "/api/traces", "application/x-thrift"},
		"web":                {web, "/api/v1/query", "application/x-www-form-urlencoded"},
	}
}

// post sends a body, with headers as "Name=value", and returns the status.
func post(t *testing.T, addr, path, contentType, body string, headers ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, "=")
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestEachHTTPPortHasTheDoor: pages of other sites, rebound names and contents of forms are refused at every HTTP port.
func TestEachHTTPPortHasTheDoor(t *testing.T) {
	t.Parallel()
	for port, p := range httpPorts(t) {
		if got := post(t, p.addr, p.path, p.contentType, "query=1"); got == http.StatusForbidden || got == http.StatusMisdirectedRequest || got == http.StatusUnsupportedMediaType {
			t.Errorf("%s: its own content is answered %d", port, got)
		}
		for _, x := range []struct {
			what, contentType string
			headers           []string
			want              int
		}{
			{"another site's page", p.contentType, []string{"Origin=https://evil.example", "Sec-Fetch-Site=cross-site"}, http.StatusForbidden},
			{"a page of another port", p.contentType, []string{"Origin=http://127.0.0.1:1"}, http.StatusForbidden},
			{"a page of nowhere", p.contentType, []string{"Origin=null"}, http.StatusForbidden},
			{"a rebound name", p.contentType, []string{"Host=rebound.example.org", "Origin=http://rebound.example.org"}, http.StatusMisdirectedRequest},
		} {
			if got := post(t, p.addr, p.path, x.contentType, "query=1", x.headers...); got != x.want {
				t.Errorf("%s: %s is answered %d, want %d", port, x.what, got, x.want)
			}
		}
		for _, form := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
			if port == "web" {
				continue // there forms are how Grafana asks
			}
			if got := post(t, p.addr, p.path, form, "[]"); got != http.StatusUnsupportedMediaType {
				t.Errorf("%s: content of the type %q, which forms have, is answered %d", port, form, got)
			}
		}
	}
}

// TestSlowSendersAreLetGo: at each HTTP port, headers that do not come, and bodies that stop, end with the connection. The times are the server's
// own; the test waits for the end, however long it takes.
func TestSlowSendersAreLetGo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED with -short, AND NOT PROVEN: slow senders are let go; it waits for time limits of 10 s")
	}
	var ends sync.WaitGroup
	for port, p := range httpPorts(t) {
		for what, head := range map[string]string{
			"headers": "POST " + p.path + " HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
			"body":    "POST " + p.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + p.contentType + "\r\nContent-Length: 100\r\n\r\nquery=",
			"gzip":    "POST " + p.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + p.contentType + "\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b",
		} {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, head); err != nil {
				t.Errorf("%s, %s: %v", port, what, err)
			}
			ends.Go(func() {
				_, _ = io.Copy(io.Discard, c) // to the end, which is all that the test asks for
				_ = c.Close()
			})
		}
	}
	ends.Wait()
}
