package connect

import (
	"os"
	"strings"
	"testing"
)

func TestAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ addr, named, reached, want string }{
		{"127.0.0.1:19091", "", "binnacle.local", "127.0.0.1:19091"},
		{"[::1]:9091", "", "10.0.0.7", "[::1]:9091"},
		{"[::]:9091", "", "10.0.0.7", "10.0.0.7:9091"},
		{"0.0.0.0:9091", "", "2001:db8::7", "[2001:db8::7]:9091"},
		{"[::]:9091", "binnacle.mesh.svc", "10.0.0.7", "binnacle.mesh.svc:9091"},
		{"127.0.0.1:9091", "gateway", "localhost", "gateway:9091"},
	} {
		got, err := At(c.addr, c.named, c.reached)
		if err != nil || got.String() != c.want {
			t.Errorf("At(%q, %q, %q) = %v, %v; want %s", c.addr, c.named, c.reached, got, err, c.want)
		}
	}
	for _, c := range [][3]string{{"9091"}, {"127.0.0.1:http"}, {"[::]:9091", "", "a b"}, {"[::]:9091", "evil}, x: {", "h"}, {"[::]:9091", "fe80::1%eth0", "h"}, {":9091"}} {
		if got, err := At(c[0], c[1], c[2]); err == nil {
			t.Errorf("At(%q) = %v, want an error", c, got)
		}
	}
}

func TestCheckLabel(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"cart", "shop/cart", "a", "v1.2", strings.Repeat("x", 128)} {
		if err := CheckLabel(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "a\nb: c", `a"b`, "a b", "$(id)", strings.Repeat("x", 129)} {
		if CheckLabel(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

const manual = "../../docs/operations/connecting.md"

// The manual shows what the server writes, for a server that nobody configured. UPDATE_DOCS=1 writes it anew.
func TestManualShowsWhatIsServed(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	e := Envoy{Mesh: Target{"127.0.0.1", 9091}, Service: "my-service", Domain: "mesh"}
	text := string(old)
	for _, part := range Parts() {
		text = between(t, text, part, "yaml", written(t, e, part))
	}
	text = between(t, text, "opentelemetry", "sh", OpenTelemetry(Target{"127.0.0.1", 4318}, "my-service"))
	switch {
	case text == string(old):
	case os.Getenv("UPDATE_DOCS") == "1":
		if err := os.WriteFile(manual, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not show what the server writes; run UPDATE_DOCS=1 go test ./internal/connect", manual)
	}
}

// between puts a block of code behind the comment that names it, in place of the one that is there.
func between(t *testing.T, text, name, language, code string) string {
	t.Helper()
	mark := "<!-- written by internal/connect: " + name + " -->\n```" + language + "\n"
	before, after, ok := strings.Cut(text, mark)
	if !ok {
		t.Fatalf("%s has no block %q", manual, mark)
	}
	_, after, ok = strings.Cut(after, "```\n")
	if !ok {
		t.Fatalf("%s: the block %s has no end", manual, name)
	}
	return before + mark + code + "```\n" + after
}
