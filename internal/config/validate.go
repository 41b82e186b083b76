package config

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Validate checks everything that can be checked without opening anything. The
// error names the field by its path.
func (c *Config) Validate() error {
	if c.Data == "" {
		return errors.New("data: is empty; name a directory")
	}
	for _, l := range []struct{ field, addr string }{
		{"mesh", c.Listen.Mesh},
		{"otlp_grpc", c.Listen.OTLPGRPC},
		{"otlp_http", c.Listen.OTLPHTTP},
		{"rls", c.Listen.RLS},
		{"web", c.Listen.Web},
	} {
		if l.addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			return fmt.Errorf("listen.%s: %q is not host:port (%w)", l.field, l.addr, err)
		}
	}
	if err := checkChoices("", reflect.ValueOf(*c)); err != nil {
		return err
	}
	if d := c.Storage.CheckpointInterval; d < 100*time.Millisecond || d > time.Hour {
		return fmt.Errorf("storage.checkpoint_interval: %s is not between 100ms and 1h", d)
	}
	if d := c.Storage.RetentionInterval; d < time.Second || d > 24*time.Hour {
		return fmt.Errorf("storage.retention_interval: %s is not between 1s and 24h", d)
	}
	for _, s := range []struct {
		path string
		err  error
	}{
		{"door", c.Door.Validate()},
		{"memory", c.Memory.Validate()},
		{"receive", c.Receive.Validate()},
		{"topology", c.Topology.Validate()},
		{"aggregator", c.Aggregator.Validate()},
		{"storage.wal", c.Storage.WAL.Validate()},
		{"storage.blocks", c.Storage.Blocks.Validate()},
		{"storage.series", c.Storage.Series.Validate()},
		{"quota", c.Quota.Validate()},
		{"api", c.API.Validate()},
		{"promql", c.PromQL.Validate()},
	} {
		if s.err != nil {
			return fmt.Errorf("%s.%w", s.path, s.err)
		}
	}
	return nil
}

// checkChoices refuses what is not among a field's tag enum.
func checkChoices(path string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		at := join(path, yamlName(f))
		if f.Type.Kind() == reflect.Struct {
			if err := checkChoices(at, v.Field(i)); err != nil {
				return err
			}
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			if choices := strings.Split(enum, ","); !slices.Contains(choices, v.Field(i).String()) {
				return fmt.Errorf("%s: %q is none of %s", at, v.Field(i).String(), strings.Join(choices, ", "))
			}
		}
	}
	return nil
}
