package connect

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/binnacle-mesh/binnacle/internal/demo"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

func sample(host string) Envoy {
	return Envoy{Mesh: Target{host, 19091}, Service: "cart", Domain: "shop"}
}

func written(t testing.TB, e Envoy, part string) string {
	t.Helper()
	text, err := e.YAML(part)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Who has validated the whole has validated the parts.
func TestPartsStandInTheWhole(t *testing.T) {
	t.Parallel()
	e := sample("127.0.0.1")
	whole := flat(written(t, e, Bootstrap))
	for _, part := range Parts() {
		if !strings.Contains(whole, flat(written(t, e, part))) {
			t.Errorf("the part %s does not stand in the whole as it is", part)
		}
	}
}

// flat is a text without its margins.
func flat(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// What the empty map used to show had neither of these; a real Envoy refuses it (see TestRealEnvoyRefuses).
func TestEachTypedConfigNamesItsType(t *testing.T) {
	t.Parallel()
	for _, part := range Parts() {
		var doc any
		if err := yaml.Unmarshal([]byte(written(t, sample("127.0.0.1"), part)), &doc); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		eachTyped(doc, part, func(path string, config map[string]any) {
			kind, _ := config["@type"].(string)
			if !strings.HasPrefix(kind, "type.googleapis.com/envoy.") {
				t.Errorf("%s has no @type", path)
			}
			if strings.HasSuffix(kind, ".HttpConnectionManager") {
				for _, field := range []string{"ratelimit", "rate_limit"} {
					if config[field] != nil {
						t.Errorf("%s has a field %s, which the connection manager does not know", path, field)
					}
				}
			}
		})
	}
}

func eachTyped(v any, path string, visit func(string, map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, sub := range v {
			at := path + "." + key
			switch key {
			case "typed_config":
				config, _ := sub.(map[string]any)
				visit(at, config)
			case "typed_extension_protocol_options":
				options, _ := sub.(map[string]any)
				for name, o := range options {
					config, _ := o.(map[string]any)
					visit(at+"."+name, config)
				}
			}
			eachTyped(sub, at, visit)
		}
	case []any:
		for i, sub := range v {
			eachTyped(sub, fmt.Sprintf("%s[%d]", path, i), visit)
		}
	}
}

// Names that pass the checks are read back as they were, whatever YAML would make of them unquoted.
func TestNamesAreTextInYAML(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"true", "null", "007", "1.5", "a/b", "0x1f", "off"} {
		if err := CheckLabel(name); err != nil {
			t.Fatal(err)
		}
		e := Envoy{Mesh: Target{"::1", 1}, Service: name, Domain: name}
		var doc struct {
			Tracing struct {
				Provider struct {
					Config struct {
						Service any `yaml:"service_name"`
					} `yaml:"typed_config"`
				}
			}
		}
		if err := yaml.Unmarshal([]byte(written(t, e, Tracing)), &doc); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(name), doc.Tracing.Provider.Config.Service); diff != "" {
			t.Errorf("service name: %s", diff)
		}
	}
}

func TestUnknownPart(t *testing.T) {
	t.Parallel()
	if _, err := sample("::1").YAML("../envoy"); err == nil || !strings.Contains(err.Error(), "only bootstrap, cluster") {
		t.Errorf("error: %v", err)
	}
}

// envoy is the path of the real Envoy.
func envoy(t *testing.T) string {
	t.Helper()
	path, err := demo.FindEnvoy("")
	if err != nil {
		shelf.Missing(t, "Envoy", err)
	}
	return path
}

// validate gives a configuration to the real Envoy, and returns what it says against it.
func validate(t *testing.T, binary, config string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestRealEnvoyTakesIt(t *testing.T) {
	t.Parallel()
	binary := envoy(t)
	for _, host := range []string{"127.0.0.1", "::1", "binnacle.observability.svc"} {
		if err := validate(t, binary, written(t, sample(host), Bootstrap)); err != nil {
			t.Errorf("mesh port at %s: %v", host, err)
		}
	}
}

// The two faults that the pasted lines once had: the test above sees them.
func TestRealEnvoyRefuses(t *testing.T) {
	t.Parallel()
	binary := envoy(t)
	good := written(t, sample("127.0.0.1"), Bootstrap)
	tracer := `"@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig`
	filter := written(t, sample("127.0.0.1"), RateLimit)
	for _, c := range []struct{ fault, old, new, says string }{
		{"no @type", tracer, "# " + tracer, "@type"},
		{"a field that does not exist", "http_filters:", "ratelimit: {name: envoy.filters.http.ratelimit}\n" + strings.Repeat(" ", 16) + "http_filters:", "ratelimit"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good || !strings.Contains(flat(good), flat(filter)) {
			t.Fatalf("%s: the fault did not get in", c.fault)
		}
		if err := validate(t, binary, bad); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Envoy says %v", c.fault, err)
		}
	}
}
