package attack

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/binnacle-mesh/binnacle/internal/pb"
)

// TestDoor brings what must not be let in: messages that grow when they are opened, texts that are none, and other people's pages.
func TestDoor(t *testing.T) { runAll(t, doorAttacks()) }

func doorAttacks() []attack {
	return []attack{
		{name: "gzip, zstd and gRPC bombs", do: bombs},
		{name: "invalid UTF-8", do: invalidText},
		{name: "forms and scripts of other sites", do: otherSites},
	}
}

// zeros compresses so many bytes of zero, by the gigabyte.
func zeros(to io.WriteCloser, size int) {
	block := make([]byte, 1<<20)
	for n := 0; n < size; n += len(block) {
		_, _ = to.Write(block)
	}
	_ = to.Close()
}

func bombs(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	size := sized(1<<30, 10<<30)
	var gz, zs bytes.Buffer
	zeros(gzip.NewWriter(&gz), size)
	enc, err := zstd.NewWriter(&zs)
	if err != nil {
		return "", err
	}
	zeros(enc, size)
	var mu sync.Mutex
	codes := map[string]int{}
	note := func(what string, code any) {
		mu.Lock()
		defer mu.Unlock()
		codes[fmt.Sprintf("%s %v", what, code)]++
	}
	taken := false
	var wg sync.WaitGroup
	post := func(what, addr, path, kind, encoding string, body []byte) {
		for range 6 {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
				if err != nil {
					return
				}
				req.Header.Set("Content-Type", kind)
				req.Header.Set("Content-Encoding", encoding)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					note(what, "no answer")
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				note(what, resp.StatusCode)
				if resp.StatusCode < 300 {
					mu.Lock()
					taken = true
					mu.Unlock()
				}
			})
		}
	}
	post("4318 gzip", w.http, "/v1/traces", "application/x-protobuf", "gzip", gz.Bytes())
	post("4318 zstd", w.http, "/v1/traces", "application/x-protobuf", "zstd", zs.Bytes())
	post("4318 json", w.http, "/v1/traces", "application/json", "gzip", gz.Bytes())
	post("9411 gzip", w.zipkin, "/api/v2/spans", "application/json", "gzip", gz.Bytes())
	post("14268 gzip", w.thrift, "/api/traces?format=jaeger.thrift", "application/x-thrift", "gzip", gz.Bytes())
	wg.Wait()
	for _, at := range []struct{ name, addr, method string }{{"OTLP", w.otlp, exportMethod}, {"mesh", w.mesh, logsMethod}, {"RLS", w.rls, quotaMethod}, {"Jaeger", w.jaeger, "/jaeger.api_v2.CollectorService/PostSpans"}} {
		for encoding, bomb := range map[string][]byte{"gzip": gz.Bytes(), "zstd": zs.Bytes()} {
			c, err := openH2(at.addr)
			if err != nil {
				return "", err
			}
			for i := range 6 {
				id := uint32(2*i + 1)
				if c.call(id, at.method, encoding) == nil {
					_, _ = c.send(id, append(grpcPrefix(true, len(bomb)), bomb...), time.Now().Add(5*time.Second))
				}
			}
			// A message that says it has 4 GB, of which little comes.
			if c.call(101, at.method, "") == nil {
				_, _ = c.send(101, append(grpcPrefix(false, 1<<32-1), make([]byte, 100_000)...), time.Now().Add(time.Second))
			}
			time.Sleep(300 * time.Millisecond)
			resets, answers, _ := c.state()
			note(at.name+" "+encoding, fmt.Sprintf("%d ended", resets+answers))
			c.conn.Close()
		}
	}
	var all []string
	for k, n := range codes {
		all = append(all, fmt.Sprintf("%s ×%d", k, n))
	}
	saw := fmt.Sprintf("%d MB resident; %s", w.resident()/1e6, strings.Join(all, ", "))
	if taken {
		return saw, fmt.Errorf("a bomb was taken as if it were a message: %v", codes)
	}
	return saw, nil
}

// invalidText sends names that are not UTF-8, and others that are awkward. What was taken must come back as UTF-8 in every answer.
func invalidText(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	texts := []string{"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\x00", "\x00\x01\x02", "\u202egnirts", "\xf4\x90\x80\x80", strings.Repeat("\xff", 300), "{}\"\\\n\r\t", "<script>alert(1)</script>", "../../etc/passwd", "a>b|c", " ", "\u2028"}
	f := flood{spans: 40 * len(texts), each: 1, span: func(i int) forged {
		x := texts[i%len(texts)]
		s := forged{service: "loud", trace: newTrace(), id: 1, kind: client, name: "GET /"}
		switch i / len(texts) % 4 {
		case 0:
			s.service = "bad" + x
		case 1:
			s.name = "GET " + x
		case 2:
			s.attrs = []attr{{"k" + x, x}}
		case 3:
			s.attrs = []attr{{"peer.service", "to" + x}, {"db.system.name", x}}
		}
		return s
	}}
	if err := f.run(ctx, w.otlp, n); err != nil {
		return "", err
	}
	cc, err := dial(w.rls)
	if err != nil {
		return "", err
	}
	defer cc.Close()
	for _, x := range texts {
		_, _ = call(ctx, cc, quotaMethod, question("bench", "tenant", x))
		_, _ = call(ctx, cc, quotaMethod, question(x, "tenant"+x, x))
	}
	mesh, err := dial(w.mesh)
	if err != nil {
		return "", err
	}
	defer mesh.Close()
	for _, x := range texts {
		node := pb.AppendBytes(pb.AppendBytes(nil, 1, "sidecar~1~"+x+"~x"), 2, x)
		_, _ = call(ctx, mesh, logsMethod, pb.AppendBytes(nil, 1, pb.AppendBytes(nil, 1, node)))
	}
	time.Sleep(1500 * time.Millisecond)
	for _, path := range []string{
		"/api/v1/graph", "/api/v1/services", "/api/v1/quotas", "/api/v1/status", "/api/v1/traces?limit=200", "/api/services", "/api/v3/services", "/api/traces?limit=200", "/api/dependencies",
		"/api/v1/labels", "/api/v1/label/operation/values", "/api/v1/label/service/values", "/api/v1/query?query=binnacle_operation_duration_seconds", "/metrics",
	} {
		code, body := w.get(path, 20*time.Second)
		switch {
		case code != http.StatusOK:
			return n.String(), fmt.Errorf("GET %s after it: %d %.200s", path, code, body)
		case !utf8.Valid(body):
			return n.String(), fmt.Errorf("GET %s is not UTF-8", path)
		case path != "/metrics" && !json.Valid(body):
			return n.String(), fmt.Errorf("GET %s is not JSON", path)
		}
	}
	return n.String() + "; every answer is UTF-8 and JSON", nil
}

// otherSites sends what a browser sends for a page of another site: forms of the three kinds that need no leave, and requests
// with a foreign Host. None is taken.
func otherSites(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	span := `[{"traceId":"00000000000000000000000000000abc","id":"0000000000000abc","name":"planted","kind":"SERVER","timestamp":` + strconv.FormatInt(time.Now().UnixMicro(), 10) + `,"duration":1000,"localEndpoint":{"serviceName":"planted"}}]`
	otlp := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"planted"}}]},"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000abd","spanId":"0000000000000abd","name":"planted","kind":2,"startTimeUnixNano":"` + strconv.FormatInt(time.Now().UnixNano(), 10) + `","endTimeUnixNano":"` + strconv.FormatInt(time.Now().UnixNano(), 10) + `"}]}]}]}`
	type try struct{ addr, path, kind, origin, site, host, body string }
	var tries []try
	for _, to := range []struct{ addr, path, body string }{
		{w.zipkin, "/api/v2/spans", span}, {w.http, "/v1/traces", otlp}, {w.thrift, "/api/traces?format=jaeger.thrift", "\x0f"}, {w.web, "/-/reload", ""},
	} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
			tries = append(tries, try{to.addr, to.path, kind, "http://evil.example", "cross-site", "", to.body}, try{to.addr, to.path, kind, "null", "", "", to.body})
		}
		tries = append(tries, try{to.addr, to.path, "application/json", "http://evil.example", "cross-site", "", to.body}, try{to.addr, to.path, "application/json", "", "", "evil.example", to.body})
	}
	var taken []string
	for _, x := range tries {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+x.addr+x.path, strings.NewReader(x.body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", x.kind)
		for k, v := range map[string]string{"Origin": x.origin, "Sec-Fetch-Site": x.site} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		if x.host != "" {
			req.Host = x.host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			taken = append(taken, fmt.Sprintf("%s %s as %s, origin %q, host %q: %d", x.addr, x.path, x.kind, x.origin, x.host, resp.StatusCode))
		}
	}
	n.unknown.Add(int64(len(taken)))
	time.Sleep(time.Second)
	code, body := w.get("/api/v1/services", 10*time.Second)
	saw := fmt.Sprintf("%d of %d requests refused", len(tries)-len(taken), len(tries))
	if code != http.StatusOK || bytes.Contains(body, []byte("planted")) {
		taken = append(taken, fmt.Sprintf("a foreign page's span is in the store (%d)", code))
	}
	if len(taken) > 0 {
		return saw, fmt.Errorf("taken from another site's page: %s", strings.Join(taken, "; "))
	}
	return saw, nil
}
