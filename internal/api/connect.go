package api

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/connect"
)

// connect answers what to paste into a sender's configuration so that it reports to this server.
func (a *API) connect(w http.ResponseWriter, r *http.Request) {
	switch sender := r.PathValue("sender"); sender {
	case "envoy":
		a.connectEnvoy(w, r)
	case "opentelemetry":
		a.connectOpenTelemetry(w, r)
	default:
		a.problem(w, r, http.StatusNotFound, fmt.Sprintf("nothing is written for senders of the kind %s, only for envoy and opentelemetry", quote(sender)))
	}
}

func (a *API) connectEnvoy(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	part := p.text("part")
	if part == "" {
		part = connect.Bootstrap
	}
	e := connect.Envoy{Service: p.label("my-service", "service"), Domain: p.label("mesh", "domain")}
	var ok bool
	if e.Mesh, ok = a.target(w, r, p, "mesh", "proxies"); !ok {
		return
	}
	text, err := e.YAML(part)
	if err != nil {
		p.fail("part", err.Error())
		a.fail(w, r, p.err)
		return
	}
	a.pasted(w, r, "text/yaml; charset=utf-8", e.Mesh, "mesh", text)
}

func (a *API) connectOpenTelemetry(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	service := p.label("my-service", "service")
	to, ok := a.target(w, r, p, "otlp_http", "OTLP over HTTP")
	if !ok {
		return
	}
	a.pasted(w, r, "text/plain; charset=utf-8", to, "otlp_http", connect.OpenTelemetry(to, service))
}

// target is where senders reach the port of that name; host may name it. It answers the request itself where there is no
// such port, or a parameter is not fit.
func (a *API) target(w http.ResponseWriter, r *http.Request, p *params, name, whom string) (connect.Target, bool) {
	host := p.text("host")
	if p.err != nil {
		a.fail(w, r, p.err)
		return connect.Target{}, false
	}
	for _, port := range a.deps.Status().Ports {
		if port.Name != name {
			continue
		}
		to, err := connect.At(port.Address, host, asked(r.Host))
		if err != nil {
			p.fail("host", err.Error())
			a.fail(w, r, p.err)
		}
		return to, err == nil
	}
	a.problem(w, r, http.StatusNotFound, fmt.Sprintf("this server has no port open for %s; listen.%s in its configuration opens one", whom, name))
	return connect.Target{}, false
}

// pasted answers with lines to paste. Who would take a loopback address to another machine is told.
func (a *API) pasted(w http.ResponseWriter, r *http.Request, kind string, to connect.Target, name, text string) {
	if to.Loopback() {
		text = fmt.Sprintf("# %s is reached from this machine only; listen.%s moves it.\n", to, name) + text
	}
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, http.StatusOK, kind, []byte(text))
}

// label is the name of a service or domain, or otherwise if none is given.
func (p *params) label(otherwise, name string) string {
	v := p.text(name)
	if v == "" {
		return otherwise
	}
	if err := connect.CheckLabel(v); err != nil {
		p.fail(name, err.Error())
	}
	return v
}

// asked is the host by which a request reached the server, out of its Host header.
func asked(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}
