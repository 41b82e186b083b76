package door

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	rules := NewRules(Config{AllowedHosts: []string{"binnacle.example.com", ".Corp.example"}})
	for host, want := range map[string]bool{
		"127.0.0.1:8700": true, "[::1]:8700": true, "::1": true, "10.1.2.3": true, "localhost:8700": true, "LOCALHOST": true, "": true,
		"app.localhost": true, "binnacle": true, "binnacle.monitoring.svc": true, "binnacle.monitoring.svc.cluster.local:80": true, "box.internal.": true,
		"binnacle.example.com": true, "Binnacle.Example.com:443": true, "a.corp.example": true, "a.b.corp.example:1": true,
		"corp.example": false, "evilcorp.example": false, "example.com": false, "rebound.example.org:8700": false, "127.0.0.1.example.org": false, "local.example.org": false,
	} {
		if got := hostAllowed(host, rules.hosts); got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
	if !hostAllowed("anything.example.org", []string{"*"}) {
		t.Error("a star does not allow any host")
	}
}

// ask is a request as somebody sends it: "POST 127.0.0.1:9411 Origin=https://evil.example".
func ask(text string) *http.Request {
	f := strings.Fields(text)
	r := httptest.NewRequest(f[0], "/api/v2/spans", strings.NewReader("[]"))
	r.Host = f[1]
	for _, h := range f[2:] {
		k, v, _ := strings.Cut(h, "=")
		if k == "by" { // the address at which it came
			local := net.TCPAddrFromAddrPort(mustAddr(v))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			continue
		}
		r.Header.Set(k, v)
	}
	return r
}

const (
	rebound  = "rebound.example.org:9411"
	fromPage = " Sec-Fetch-Site=cross-site Sec-Fetch-Mode=no-cors Origin=https://evil.example"
	loop     = " by=127.0.0.1:9411"
	lan      = " by=10.0.0.7:9411"
	isJSON   = " Content-Type=application/json"
)

// What each kind of sender is told at a port that takes data. 0 is: it is taken.
func TestReceive(t *testing.T) {
	t.Parallel()
	rules := NewRules(Config{AllowedHosts: []string{"binnacle.example.com"}, AllowedOrigins: []string{"https://shop.example.com"}})
	for request, want := range map[string]int{
		// Senders.
		"POST 127.0.0.1:9411" + isJSON + loop:                                         0,
		"POST localhost:9411" + isJSON + loop:                                         0,
		"POST 127.0.0.1:9411 Content-Type=application/json;charset=utf-8" + loop:      0,
		"POST 127.0.0.1:9411 Content-Type=APPLICATION/X-PROTOBUF" + loop:              0,
		"POST binnacle.monitoring:9411" + isJSON + lan:                                0,
		"POST collector.example.net" + isJSON + lan + " Sec-Fetch-Mode=cors":          0, // Node's fetch
		"POST binnacle.example.com" + isJSON + lan + " Referer=https://x.example.com": 0,
		// What a form or a script can send without asking.
		"POST 127.0.0.1:9411 Content-Type=text/plain" + loop:                        http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411 Content-Type=application/x-www-form-urlencoded" + loop: http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411 Content-Type=multipart/form-data;boundary=x" + loop:    http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411" + loop:                                                http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411 Content-Type=json/" + loop:                             http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411 Content-Type=text/plain" + fromPage + loop:             http.StatusForbidden,
		"POST 127.0.0.1:9411" + isJSON + fromPage + loop:                            http.StatusForbidden,
		"OPTIONS 127.0.0.1:9411" + fromPage + loop:                                  http.StatusForbidden,
		"GET 127.0.0.1:9411" + fromPage + loop:                                      http.StatusForbidden,
		"POST 127.0.0.1:9411" + isJSON + " Origin=null" + loop:                      http.StatusForbidden,
		"POST 127.0.0.1:9411" + isJSON + " Origin=http://localhost:3000" + loop:     http.StatusForbidden,
		"POST 127.0.0.1:9411" + isJSON + " Sec-Fetch-Site=same-site" + loop:         http.StatusForbidden,
		// Rebinding: the page is of the origin that it asks, and the Host is its own.
		"POST " + rebound + isJSON + " Origin=http://" + rebound + loop:                           http.StatusMisdirectedRequest,
		"POST " + rebound + isJSON + " Origin=http://" + rebound + lan:                            http.StatusMisdirectedRequest,
		"POST " + rebound + isJSON + " Sec-Fetch-Site=same-origin" + lan:                          http.StatusMisdirectedRequest,
		"POST " + rebound + isJSON + loop:                                                         http.StatusMisdirectedRequest,
		"POST " + rebound + isJSON + " by=[::1]:9411":                                             http.StatusMisdirectedRequest,
		"POST binnacle.example.com" + isJSON + " Origin=https://binnacle.example.com" + lan:       0,
		"POST 127.0.0.1:9411" + isJSON + " Origin=https://shop.example.com" + loop:                0,
		"OPTIONS 127.0.0.1:9411 Origin=https://shop.example.com Sec-Fetch-Site=cross-site" + loop: 0,
		"POST 127.0.0.1:9411" + isJSON + " Origin=https://shop.example.com.evil.example" + loop:   http.StatusForbidden,
		"POST 127.0.0.1:9411 Content-Type=text/plain Origin=https://shop.example.com" + loop:      http.StatusUnsupportedMediaType,
		"POST 127.0.0.1:9411" + isJSON + " Origin=https://shop.example.com Host=ignored" + loop:   0,
		"POST [::1]:9411" + isJSON + " Origin=http://[::1]:9411" + " by=[::1]:9411":               0,
		"POST 127.0.0.1:9411" + isJSON + " Sec-Fetch-Site=none" + loop:                            0,
		"POST 127.0.0.1:9411" + isJSON + " Origin=http://127.0.0.1:8700 Sec-Fetch-Site=same-site": http.StatusForbidden,
	} {
		check(t, request, rules.Receive(ask(request), []string{"application/json", "application/x-protobuf"}), want)
	}
}

// What each kind of reader is told at the web port.
func TestWeb(t *testing.T) {
	t.Parallel()
	rules := NewRules(Config{AllowedHosts: []string{"binnacle.example.com"}, AllowedOrigins: []string{"https://shop.example.com"}})
	for request, want := range map[string]int{
		"GET 127.0.0.1:8700":                                                            0,
		"POST 127.0.0.1:8700":                                                           0, // Grafana's server, Prometheus, curl
		"GET localhost:8700 Sec-Fetch-Site=same-origin":                                 0,
		"POST localhost:8700 Sec-Fetch-Site=same-origin":                                0,
		"GET binnacle.example.com Sec-Fetch-Site=none":                                  0,
		"POST localhost:8700 Origin=http://localhost:8700":                              0,
		"GET rebound.example.org:8700":                                                  http.StatusMisdirectedRequest,
		"GET binnacle.monitoring:8700":                                                  http.StatusMisdirectedRequest,
		"GET localhost:8700 Origin=https://grafana.example":                             0, // as before: no header lets that page read it
		"POST localhost:8700 Origin=https://evil.example":                               http.StatusForbidden,
		"POST localhost:8700 Origin=null":                                               http.StatusForbidden,
		"POST localhost:8700 Sec-Fetch-Site=cross-site":                                 http.StatusForbidden,
		"POST localhost:8700 Sec-Fetch-Site=cross-site Origin=https://shop.example.com": http.StatusForbidden,
		// A link to the web view is followed; a picture, a frame or a script that makes the server search is not.
		"GET localhost:8700 Sec-Fetch-Site=cross-site Sec-Fetch-Mode=navigate Sec-Fetch-Dest=document":  0,
		"GET localhost:8700 Sec-Fetch-Site=cross-site Sec-Fetch-Mode=navigate Sec-Fetch-Dest=iframe":    http.StatusForbidden,
		"GET localhost:8700 Sec-Fetch-Site=cross-site Sec-Fetch-Mode=no-cors Sec-Fetch-Dest=image":      http.StatusForbidden,
		"GET localhost:8700 Sec-Fetch-Site=same-site Sec-Fetch-Mode=cors Sec-Fetch-Dest=empty":          http.StatusForbidden,
		"POST localhost:8700 Sec-Fetch-Site=cross-site Sec-Fetch-Mode=navigate Sec-Fetch-Dest=document": http.StatusForbidden,
	} {
		check(t, request, rules.Web(ask(request)), want)
	}
}

func check(t *testing.T, request string, refusal *Refusal, want int) {
	t.Helper()
	switch {
	case refusal == nil && want != 0:
		t.Errorf("%s\nis answered, want %d", request, want)
	case refusal != nil && (refusal.Status != want || refusal.Detail == "" || refusal.Reason == ""):
		t.Errorf("%s\nis refused with %d (%s), want %d: %s", request, refusal.Status, refusal.Reason, want, refusal.Detail)
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for want, change := range map[string]func(*Config){
		"allowed_hosts[1]":            func(c *Config) { c.AllowedHosts = []string{"ok", "https://no.example"} },
		"allowed_hosts[0]":            func(c *Config) { c.AllowedHosts = []string{""} },
		"allowed_origins[0]":          func(c *Config) { c.AllowedOrigins = []string{"shop.example.com"} },
		"allowed_origins[1]":          func(c *Config) { c.AllowedOrigins = []string{"https://a.example", "https://b.example/"} },
		"max_connections":             func(c *Config) { c.MaxConnections = 1 },
		"max_connections_per_address": func(c *Config) { c.MaxConnectionsPerAddress = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("want a complaint about %s, got %v", want, err)
		}
	}
}
