package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// Who pastes what the server writes into an Envoy, and its environment into a program, sees both on the map; the ports are
// not the default ones.
func TestWhatIsPastedReports(t *testing.T) {
	t.Parallel()
	binary := envoyOrSkip(t)
	s := startServer(t)

	config := s.text(t, "/api/v1/connect/envoy?service=cart")
	if want := "port_value: " + portOf(t, s.mesh); !strings.Contains(config, want) {
		t.Fatalf("the configuration does not name the mesh port, %s:\n%s", want, config)
	}
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	write(t, file, []byte(config))
	if out, err := exec.Command(binary, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput(); err != nil {
		t.Fatalf("envoy --mode validate: %v\n%s", err, out)
	}

	// Only the ports of the proxy and of its service are the test's own.
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "a cart") }))
	t.Cleanup(service.Close)
	inbound := shelf.FreeAddr(t)
	config = strings.Replace(config, "port_value: 8080", "port_value: "+portOf(t, service.Listener.Addr().String()), 1)
	config = strings.Replace(config, "port_value: 10000", "port_value: "+portOf(t, inbound), 1)
	write(t, file, []byte(config))
	runEnvoy(t, binary, file)

	env := map[string]string{}
	for _, line := range strings.Split(s.text(t, "/api/v1/connect/opentelemetry?service=till"), "\n") {
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok {
			env[name] = value
		}
	}

	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if response, err := http.Get("http://" + inbound + "/cart"); err == nil {
			response.Body.Close()
		}
		sendSpan(t, env)
		var g graph
		s.get(t, "/api/v1/graph", &g)
		if g.hasService("cart") && g.hasService("till") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute the map has not both services: %+v", g.Nodes)
		}
	}
}

func (g graph) hasService(name string) bool {
	for _, n := range g.Nodes {
		if n.Kind == "service" && (n.ID == name || strings.HasSuffix(n.ID, "/"+name)) {
			return true
		}
	}
	return false
}

// sendSpan sends a server's span as an OpenTelemetry SDK with this environment does.
func sendSpan(t *testing.T, env map[string]string) {
	t.Helper()
	now := time.Now().UnixNano()
	body, err := json.Marshal(map[string]any{"resourceSpans": []any{map[string]any{
		"resource": map[string]any{"attributes": []any{attribute("service.name", env["OTEL_SERVICE_NAME"])}},
		"scopeSpans": []any{map[string]any{"spans": []any{map[string]any{
			"traceId": fmt.Sprintf("%032x", now), "spanId": fmt.Sprintf("%016x", now), "name": "GET /till", "kind": 2,
			"startTimeUnixNano": strconv.FormatInt(now-int64(time.Millisecond), 10), "endTimeUnixNano": strconv.FormatInt(now, 10),
			"attributes": []any{attribute("http.request.method", "GET")},
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(env["OTEL_EXPORTER_OTLP_ENDPOINT"]+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(response.Body)
		t.Fatalf("POST a span to %s: %s: %s", env["OTEL_EXPORTER_OTLP_ENDPOINT"], response.Status, said)
	}
}

func attribute(key, value string) map[string]any {
	return map[string]any{"key": key, "value": map[string]any{"stringValue": value}}
}

// runEnvoy runs an Envoy until the test ends.
func runEnvoy(t *testing.T, binary, file string) {
	t.Helper()
	output := &syncBuffer{}
	command := exec.Command(binary, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning")
	command.Stdout, command.Stderr = output, output
	runtime.LockOSThread() // as in startServer
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", binary, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("envoy said:\n%s", output)
		}
	})
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// text reads a text of the API.
func (s *server) text(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + s.web + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", path, response.Status, err, body)
	}
	return string(body)
}
