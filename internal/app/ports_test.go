package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := Check(t.Context(), config.Default()); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	receivers := func(r map[string]any) map[string]any { return map[string]any{"receivers": r} }
	for name, c := range map[string]struct {
		change func(c *config.Config)
		want   []string // each in the error; none for none
	}{
		"two of ours on one port": {
			func(c *config.Config) { c.Listen.RLS = "127.0.0.1:9091" },
			[]string{"listen.rls: 127.0.0.1:9091 is listen.mesh's port as well (127.0.0.1:9091)"},
		},
		"everywhere and loopback": {
			func(c *config.Config) { c.Listen.Web = ":4317" },
			[]string{"listen.web: :4317 is listen.otlp_grpc's port as well (127.0.0.1:4317)"},
		},
		"localhost and its address": {
			func(c *config.Config) {
				c.Collector = receivers(map[string]any{"zipkin": map[string]any{"endpoint": "localhost:8700"}})
			},
			[]string{"collector.receivers.zipkin.endpoint: localhost:8700 is listen.web's port as well (127.0.0.1:8700)"},
		},
		"a built-in receiver's port": {
			func(c *config.Config) { c.Listen.Web = "127.0.0.1:9411" },
			[]string{"collector.receivers.zipkin.endpoint: 127.0.0.1:9411 is listen.web's"},
		},
		"two conflicts at once": {
			func(c *config.Config) { c.Listen.Web, c.Listen.RLS = "127.0.0.1:9411", "127.0.0.1:9091" },
			[]string{"listen.rls", "collector.receivers.zipkin.endpoint"},
		},
		"any port":                 {func(c *config.Config) { c.Listen.Web, c.Listen.RLS = "127.0.0.1:0", "127.0.0.1:0" }, nil},
		"another loopback address": {func(c *config.Config) { c.Listen.Web = "127.0.0.2:9411" }, nil},
		"OTLP's port, taken over": {
			func(c *config.Config) {
				c.Collector = receivers(map[string]any{"otlp": map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": "127.0.0.1:4317"}}}})
			}, nil,
		},
		"the port of a receiver that is not there": {
			func(c *config.Config) {
				c.Listen.Web = "127.0.0.1:14250"
				c.Collector = receivers(map[string]any{"zipkin": nil})
			}, nil,
		},
		"a receiver that nobody knows": {
			func(c *config.Config) { c.Collector = receivers(map[string]any{"carbon": nil}) }, []string{"collector", `"carbon"`},
		},
		"rules that are not there": {
			func(c *config.Config) { c.Quota.Files = []string{"/nowhere/rules.yaml"} }, []string{"quota.files", "/nowhere/rules.yaml"},
		},
	} {
		cfg := config.Default()
		c.change(&cfg)
		err := Check(context.Background(), cfg)
		if len(c.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %v, want one that is the configuration's fault", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\nwant it to say %q", name, err, w)
			}
		}
	}
}
