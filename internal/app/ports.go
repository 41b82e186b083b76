package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/binnacle-mesh/binnacle/collector/embedded"
	"github.com/binnacle-mesh/binnacle/internal/config"
)

// Check says what is wrong with a configuration beyond what can be seen in it
// alone: the files that it names, the section collector, and ports that two listeners
// want. It opens no port and writes nothing. Its errors are config.ErrInvalid.
func Check(ctx context.Context, cfg config.Config) error {
	if err := cfg.CheckFiles(); err != nil {
		return config.Invalid(err)
	}
	e, err := embedded.New(ctx, cfg.Collector, nil, embedded.Front{}, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return config.Invalid(err)
	}
	return config.Invalid(conflicts(portsOf(cfg, e)))
}

// A port is an address that the configuration has us listen on.
type port struct {
	path    string // of the setting
	network string
	address string
}

// portsOf lists all ports that a server with this configuration opens.
func portsOf(cfg config.Config, e *embedded.Collector) []port {
	l := cfg.Listen
	grpcTaken, httpTaken := e.TakesOTLP()
	var ports []port
	for _, p := range []struct {
		field, address string
		taken          bool
	}{
		{"mesh", l.Mesh, false},
		{"otlp_grpc", l.OTLPGRPC, grpcTaken},
		{"otlp_http", l.OTLPHTTP, httpTaken},
		{"rls", l.RLS, false},
		{"web", l.Web, false},
	} {
		if p.address != "" && !p.taken {
			ports = append(ports, port{"listen." + p.field, "tcp", p.address})
		}
	}
	for _, p := range e.Listeners() {
		ports = append(ports, port{p.Path, p.Network, p.Address})
	}
	return ports
}

// conflicts names each two settings that want one port.
func conflicts(ports []port) error {
	var errs []error
	for i, a := range ports {
		for _, b := range ports[:i] {
			if a.network == b.network && overlap(a.address, b.address) {
				errs = append(errs, fmt.Errorf("%s: %s is %s's port as well (%s); give one of them another", a.path, a.address, b.path, b.address))
			}
		}
	}
	return errors.Join(errs...)
}

// overlap says whether two addresses cannot both be listened on. Names are not
// looked up: two different ones count as two machines.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB) || loopback(hostA) && loopback(hostB)
}

func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// loopback is what localhost may be. The other addresses of 127.0.0.0/8 are
// different ones.
func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
