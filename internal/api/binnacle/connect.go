package binnacle

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/connect"
)

// connect answers what to paste into a sender's configuration so that it reports to this server.
func (d *Dialect) connect(r *http.Request) (api.Answer, error) {
	switch sender := r.PathValue("sender"); sender {
	case "envoy":
		return d.connectEnvoy(r)
	case "opentelemetry":
		return d.connectOpenTelemetry(r)
	default:
		return api.Answer{}, &api.Error{Status: http.StatusNotFound, Detail: fmt.Sprintf(
			"nothing is written for senders of the kind %s, only for envoy and opentelemetry", params.Quote(sender))}
	}
}

func (d *Dialect) connectEnvoy(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	part := p.Text("part")
	if part == "" {
		part = connect.Bootstrap
	}
	e := connect.Envoy{Service: label(p, "my-service", "service"), Domain: label(p, "mesh", "domain")}
	var err error
	if e.Mesh, err = d.target(r, p, "mesh", "proxies"); err != nil {
		return api.Answer{}, err
	}
	text, err := e.YAML(part)
	if err != nil {
		p.Fail("part", err.Error())
		return api.Answer{}, p.Err()
	}
	return pasted("text/yaml; charset=utf-8", e.Mesh, "mesh", text), nil
}

func (d *Dialect) connectOpenTelemetry(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	service := label(p, "my-service", "service")
	to, err := d.target(r, p, "otlp_http", "OTLP over HTTP")
	if err != nil {
		return api.Answer{}, err
	}
	return pasted("text/plain; charset=utf-8", to, "otlp_http", connect.OpenTelemetry(to, service)), nil
}

// target is where senders reach the port of that name; host may name it. It fails where there is no such port, or a
// parameter is not fit.
func (d *Dialect) target(r *http.Request, p *params.Params, name, whom string) (connect.Target, error) {
	host := p.Text("host")
	if p.Err() != nil {
		return connect.Target{}, p.Err()
	}
	for _, port := range d.deps.Status().Ports {
		if port.Name != name {
			continue
		}
		to, err := connect.At(port.Address, host, asked(r.Host))
		if err != nil {
			p.Fail("host", err.Error())
		}
		return to, p.Err()
	}
	return connect.Target{}, &api.Error{Status: http.StatusNotFound, Detail: fmt.Sprintf(
		"this server has no port open for %s; listen.%s in its configuration opens one", whom, name)}
}

// pasted is lines to paste. Who would take a loopback address to another machine is told.
func pasted(kind string, to connect.Target, name, text string) api.Answer {
	if to.Loopback() {
		text = fmt.Sprintf("# %s is reached from this machine only; listen.%s moves it.\n", to, name) + text
	}
	return api.Answer{Type: kind, Body: []byte(text)}
}

// label is the name of a service or domain, or otherwise if none is given.
func label(p *params.Params, otherwise, name string) string {
	v := p.Text(name)
	if v == "" {
		return otherwise
	}
	if err := connect.CheckLabel(v); err != nil {
		p.Fail(name, err.Error())
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
