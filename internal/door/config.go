package door

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Config is the section of the configuration that this package reads.
type Config struct {
	// AllowedHosts are names by which browsers may ask this server, at any port, besides addresses, names without a dot, and names
	// that nobody can register (localhost, .local, .internal, .home.arpa, .svc): "binnacle.example.com", ".example.com" for all below,
	// "*" for any.
	AllowedHosts []string `yaml:"allowed_hosts"`
	// AllowedOrigins are sites whose pages may send spans over HTTP: "https://shop.example.com". They may not ask the web port.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// MaxConnections is how many connections may be open, over all ports.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerAddress is how many of them may come from one address (of IPv6: from one network of 64 bits). Behind a proxy
	// or a load balancer all have its address.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"`
}

// DefaultConfig is the configuration of a server that nobody configured.
func DefaultConfig() Config {
	return Config{MaxConnections: 8192, MaxConnectionsPerAddress: 2048}
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	for i, h := range c.AllowedHosts {
		if err := checkAllowedHost(h); err != nil {
			return fmt.Errorf("allowed_hosts[%d]: %w", i, err)
		}
	}
	for i, o := range c.AllowedOrigins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			return fmt.Errorf("allowed_origins[%d]: %q is not an origin: write scheme and name, as https://shop.example.com, and nothing behind it", i, o)
		}
	}
	switch {
	case c.MaxConnections < 16 || c.MaxConnections > 1<<20:
		return fmt.Errorf("max_connections: %d is not between 16 and %d", c.MaxConnections, 1<<20)
	case c.MaxConnectionsPerAddress < 1 || c.MaxConnectionsPerAddress > 1<<20:
		return fmt.Errorf("max_connections_per_address: %d is not between 1 and %d", c.MaxConnectionsPerAddress, 1<<20)
	}
	return nil
}

func checkAllowedHost(h string) error {
	switch {
	case h == "":
		return errors.New("it is empty")
	case h == "*":
		return nil
	case strings.ContainsAny(h, "/:*@ "):
		return fmt.Errorf("%q is not a name: write no scheme, port or path, and a leading dot instead of a star", h)
	}
	return nil
}
