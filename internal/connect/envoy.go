package connect

import (
	"embed"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// An Envoy is what the configuration of an Envoy proxy depends on. Every name must have passed CheckHost or CheckLabel.
type Envoy struct {
	Mesh    Target // this server's port for proxies
	Service string // the service that the proxy stands before; its spans carry this name
	Domain  string // of the rate limit rules that the proxy asks for
}

// The parts of an Envoy's configuration. Each of the others stands in Bootstrap, indented and otherwise the same, so
// that who validates that one has validated all.
const (
	Bootstrap = "bootstrap"   // a whole configuration, which an Envoy starts with
	Cluster   = "cluster"     // an item of static_resources.clusters
	Tracing   = "tracing"     // a field of the HTTP connection manager
	AccessLog = "access_log"  // a field of the HTTP connection manager
	RateLimit = "rate_limit"  // an item of the HTTP connection manager's http_filters, before the router
	Limits    = "rate_limits" // a field of each route whose requests are counted
)

// Parts lists the parts by name.
func Parts() []string { return []string{Bootstrap, Cluster, Tracing, AccessLog, RateLimit, Limits} }

//go:embed envoy/*.yaml
var templates embed.FS

// YAML is a part of the configuration.
func (e Envoy) YAML(part string) (string, error) {
	if !slices.Contains(Parts(), part) {
		return "", fmt.Errorf("there is no part %q, only %s", clip(part), strings.Join(Parts(), ", "))
	}
	t, err := template.New(part+".yaml").Funcs(template.FuncMap{
		"quote": strconv.Quote,
		"part": func(name string, spaces int) (string, error) {
			text, err := e.YAML(name)
			return indent(text, spaces), err
		},
	}).ParseFS(templates, "envoy/"+part+".yaml")
	if err != nil {
		return "", fmt.Errorf("BUG: connect: template of %s: %w", part, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, e); err != nil {
		return "", fmt.Errorf("BUG: connect: write %s: %w", part, err)
	}
	return out.String(), nil
}

// ClusterType is how Envoy finds the mesh port: an address stands for itself, a name is looked up.
func (e Envoy) ClusterType() string {
	if _, err := netip.ParseAddr(e.Mesh.Host); err == nil {
		return "STATIC"
	}
	return "STRICT_DNS"
}

// indent puts a text further to the right, without a line break at its end.
func indent(text string, spaces int) string {
	margin := strings.Repeat(" ", spaces)
	return margin + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+margin)
}
