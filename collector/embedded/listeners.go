package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/otelcol"
)

// A Listener is a port that a receiver opens.
type Listener struct {
	Path    string // of the setting that has the address, as collector.receivers.zipkin.endpoint
	Name    string // of the receiver's kind and protocol: zipkin, jaeger_grpc, otlp_http
	Network string // tcp or udp
	Address string
	Speaks  string
	// BuiltIn is set where the user has written no section receivers: nobody named this port.
	BuiltIn bool
}

// Remedy says what can be done about a port that somebody else has.
func (l Listener) Remedy() string {
	if l.BuiltIn {
		return fmt.Sprintf("stop it, or set %s to another address: a section collector.receivers replaces the built-in receivers, so name there what is to stay "+
			"(collector: {receivers: {}} closes all)", l.Path)
	}
	return fmt.Sprintf("stop it, set %s to another address, or remove the receiver", l.Path)
}

// Listeners are the ports that Start opens, by path.
func (c *Collector) Listeners() []Listener { return c.listeners }

// listenersOf finds the receivers' addresses in a configuration as the
// components understand it, their own defaults among it.
func listenersOf(cfg *otelcol.Config, builtIn bool) ([]Listener, error) {
	var out []Listener
	seen := map[string]bool{}
	for _, p := range cfg.Service.Pipelines {
		for _, id := range p.Receivers {
			name := id.String()
			if seen[name] {
				continue
			}
			seen[name] = true
			conf := confmap.New()
			if err := conf.Marshal(cfg.Receivers[id]); err != nil {
				return nil, fmt.Errorf("collector.receivers.%s: %w", name, err)
			}
			for path, address := range endpoints("", conf.ToStringMap()) {
				network := "tcp"
				// Jaeger's agents send datagrams.
				if strings.HasPrefix(path, "protocols.thrift_binary") || strings.HasPrefix(path, "protocols.thrift_compact") {
					network = "udp"
				}
				kind, protocol := id.Type().String(), protocolOf(path)
				out = append(out, Listener{
					Path: "collector.receivers." + name + "." + path, Name: strings.TrimSuffix(kind+"_"+protocol, "_"),
					Network: network, Address: address, Speaks: speaks(kind, protocol), BuiltIn: builtIn,
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b Listener) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// endpoints are the addresses in a receiver's settings, by their path.
func endpoints(path string, settings tree) map[string]string {
	out := map[string]string{}
	for key, v := range settings {
		switch v := v.(type) {
		case string:
			if key == "endpoint" && v != "" {
				out[path+key] = v
			}
		case tree:
			maps.Copy(out, endpoints(path+key+".", v))
		}
	}
	return out
}

// protocolOf is the protocol in the path of an endpoint, "" where a receiver
// has one alone.
func protocolOf(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(path, "protocols."), "endpoint"), ".")
}

// speaks says in words what is spoken at a receiver's endpoint.
func speaks(receiver, protocol string) string {
	name := map[string]string{"zipkin": "Zipkin", "jaeger": "Jaeger", "otlp": "OTLP"}[receiver]
	if name == "" {
		name = receiver
	}
	switch protocol {
	case "":
		return name
	case "grpc":
		return name + " gRPC"
	case "http":
		return name + " HTTP"
	case "thrift_http":
		return name + " Thrift over HTTP"
	case "thrift_binary", "thrift_compact":
		return name + " " + strings.ReplaceAll(protocol, "_", " ") + " over UDP"
	}
	return name + " " + protocol
}

// taken says which of the ports somebody else has, once the Collector has
// failed to start; nil where none is.
func taken(ctx context.Context, listeners []Listener) error {
	var errs []error
	for _, l := range listeners {
		if err := probe(ctx, l); errors.Is(err, syscall.EADDRINUSE) {
			errs = append(errs, fmt.Errorf("%s: %s is in use, perhaps by another Binnacle; %s", l.Path, l.Address, l.Remedy()))
		} else if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; set it to an address of this machine", l.Path, err))
		}
	}
	return errors.Join(errs...)
}

// probe opens a port and closes it.
func probe(ctx context.Context, l Listener) error {
	var lc net.ListenConfig
	if l.Network == "udp" {
		c, err := lc.ListenPacket(ctx, "udp", l.Address)
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := lc.Listen(ctx, "tcp", l.Address)
	if err != nil {
		return err
	}
	return c.Close()
}
