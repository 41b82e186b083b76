// Package demo runs a small shop on a real service mesh, so that Binnacle has something to show within a minute of being
// cloned: fourteen services and a gateway, each behind an Envoy of its own that sends its spans and access logs to
// Binnacle and asks it for quotas; databases, a queue and a bank that send nothing; a steady load; and a story that
// repeats.
//
// Only the shop is make-believe. The proxies are real, and so is every byte that reaches Binnacle: the services live in
// this process as HTTP servers on loopback ports and talk to one another through their Envoys alone. What the mesh looks
// like is said once, in shop.go; DeclaredTopology is computed from it, and so are the Envoys' configurations.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Config says where the mesh finds Binnacle and how lively it is.
type Config struct {
	// Mesh is the host:port of Binnacle's mesh port. The host must be an IP address.
	Mesh string `yaml:"mesh"`

	// Envoy is the path of the Envoy binary; empty looks for one as FindEnvoy says.
	Envoy string `yaml:"envoy"`

	// BasePort is the first of the loopback ports that the Envoys listen on: the gateway's. The others follow it.
	// 0 takes any range that is free.
	BasePort int `yaml:"base_port"`

	// Rate is how many requests a second enter at the gateway, on average.
	Rate float64 `yaml:"rate"`

	// Story makes the chapters of the story follow one another. Without it the shop stays calm.
	Story bool `yaml:"story"`

	// Chapter, one of Chapters, is told for ever when it is set, whatever Story says.
	Chapter string `yaml:"chapter"`

	// Flaws makes the mesh one in which Mesh.Inject can have something go wrong with its telemetry: what the Envoys and services send goes
	// through a relay, and the reviews have two pods.
	Flaws bool `yaml:"flaws"`

	// Without names flows (see Flows) which the load shall leave alone, so that a test has their edges to itself.
	Without []string `yaml:"without"`
}

// DefaultConfig is a mesh for a Binnacle with default ports, at a load that two cores hardly notice.
func DefaultConfig() Config {
	return Config{Mesh: "127.0.0.1:9091", BasePort: 15000, Rate: 80, Story: true}
}

// Validate returns all that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("demo.%s: "+format, append([]any{field}, args...)...))
	}
	if host, port, err := net.SplitHostPort(c.Mesh); err != nil {
		bad("mesh", "%q is not host:port", c.Mesh)
	} else {
		if net.ParseIP(host) == nil {
			bad("mesh", "host %q is not an IP address, such as 127.0.0.1", host)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			bad("mesh", "port %q is not between 1 and 65535", port)
		}
	}
	if last := c.BasePort + portsNeeded(plan(c.shop())) - 1; c.BasePort < 0 || c.BasePort > 0 && (c.BasePort < 1024 || last > 65535) {
		bad("base_port", "ports %d to %d are not all between 1024 and 65535; 0 takes any that are free", c.BasePort, last)
	}
	if !(c.Rate >= 0 && c.Rate <= 5000) {
		bad("rate", "%v is not between 0 and 5000 requests a second", c.Rate)
	}
	if c.Chapter != "" && !slices.Contains(Chapters(), c.Chapter) {
		bad("chapter", "%q is none of %s", c.Chapter, strings.Join(Chapters(), ", "))
	}
	for _, name := range c.Without {
		if !slices.Contains(Flows(), name) {
			bad("without", "%q is none of %s", name, strings.Join(Flows(), ", "))
		}
	}
	return errors.Join(errs...)
}

// Run runs the mesh until ctx ends, which is no error, or until some part of it fails. When it returns, all that it
// started is gone.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	mesh, err := Start(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		return err
	}
	defer mesh.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-mesh.Failed():
		return err
	}
}
