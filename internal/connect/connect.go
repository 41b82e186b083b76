// Package connect writes what people paste into a sender's configuration so that it reports to this server: the parts of
// an Envoy's, a whole one, and the environment of an OpenTelemetry SDK. It is the one source of these lines: the web
// view shows them, docs/operations/connecting.md holds a copy that a test compares, and tests give them to a real Envoy.
package connect

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// A Target is where a sender sends: a port of this server, by a name or address that the sender can reach.
type Target struct {
	Host string
	Port int
}

// At is the target for a port of this server that listens on addr ("127.0.0.1:9091", "[::]:9091"). named is the host that
// the asker wants to be named, which wins; "" for none. A listener on every address has no host of its own: then it is
// reached, the host by which the asker reached this server.
func At(addr, named, reached string) (Target, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return Target{}, fmt.Errorf("the listener's address %q: %w", addr, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return Target{}, fmt.Errorf("the listener's address %q: its port is not a number", addr)
	}
	if ip, err := netip.ParseAddr(host); named != "" {
		host = named
	} else if host == "" || err == nil && ip.IsUnspecified() {
		host = reached
	}
	if err := CheckHost(host); err != nil {
		return Target{}, err
	}
	return Target{host, port}, nil
}

// Loopback says that only senders on the server's own machine reach the target.
func (t Target) Loopback() bool {
	ip, err := netip.ParseAddr(t.Host)
	return t.Host == "localhost" || err == nil && ip.IsLoopback()
}

// String is host:port, with brackets where an IPv6 address needs them.
func (t Target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

var (
	hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$`)
	label    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$`)
)

// CheckHost says what is wrong with a host: it must be an IP address without a zone, or a DNS name.
func CheckHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return nil
	}
	if len(host) > 253 || !hostname.MatchString(host) {
		return fmt.Errorf("%q is neither an IP address nor a DNS name", clip(host))
	}
	return nil
}

// CheckLabel says what is wrong with the name of a service or of a rate limit domain.
func CheckLabel(name string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if !label.MatchString(name) {
		return fmt.Errorf("%q may have letters, digits and . _ / - within, at most 128 of them", clip(name))
	}
	return nil
}

// clip shortens what a client sent to what an error may repeat.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
