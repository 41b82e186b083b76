package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: error %v, want %q", cfg, err, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.Mesh = "127.0.0.1" }, "demo.mesh")
	f(func(c *Config) { c.Mesh = "localhost:9091" }, "is not an IP address")
	f(func(c *Config) { c.Mesh = "127.0.0.1:99999" }, "demo.mesh")
	f(func(c *Config) { c.BasePort = 0 }, "")
	f(func(c *Config) { c.BasePort = 80 }, "demo.base_port")
	f(func(c *Config) { c.BasePort = 65520 }, "demo.base_port")
	f(func(c *Config) { c.BasePort = -1 }, "demo.base_port")
	f(func(c *Config) { c.Rate = -1 }, "demo.rate")
	f(func(c *Config) { c.Rate = 1e9 }, "demo.rate")
	f(func(c *Config) { c.Chapter = "nonsense" }, "demo.chapter")
	f(func(c *Config) { c.Chapter = ChapterSlow }, "")
	f(func(c *Config) { c.Without = []string{"home", "nonsense"} }, "demo.without")
}

func TestPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	members := plan(theShop())
	allotted, err := allotPorts(members, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := allotted[3].outbound
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(taken))
	if err != nil {
		t.Skipf("SKIPPED, AND NOT PROVEN: another program took port %d meanwhile: %v", taken, err)
	}
	defer l.Close()
	_, err = allotPorts(members, allotted[0].inbound)
	want := fmt.Sprintf("port %d on 127.0.0.1, meant for what leaves %s, is in use", taken, members[3].pod())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestStartFailsClearly(t *testing.T) {
	t.Parallel()
	envoy := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(envoy, []byte("#!/bin/sh\necho I am no Envoy >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newSink(t)
	_, err := Start(t.Context(), Config{Mesh: s.address, Envoy: envoy}, discard())
	if err == nil || !strings.Contains(err.Error(), "I am no Envoy") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a broken Envoy: error %v", err)
	}
	_, err = Start(t.Context(), Config{Mesh: s.address, Envoy: filepath.Join(t.TempDir(), "none")}, discard())
	if !errors.Is(err, ErrNoEnvoy) {
		t.Errorf("no Envoy: error %v", err)
	}
}

func TestFindEnvoySkipsThePythonLauncher(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	launcher := filepath.Join(dir, "bin", "envoy")
	binary := filepath.Join(dir, "lib", "python3.11", "site-packages", "envoy", "_bin", "envoy")
	for path, content := range map[string]string{launcher: "#!/usr/bin/python3\n", binary: "\x7fELF"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := FindEnvoy(launcher)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := filepath.EvalSymlinks(binary); err != nil || filepath.Clean(got) != want {
		t.Errorf("FindEnvoy: %s, want %s (%v)", got, want, err)
	}
}

// TestShopIsSound holds the table to what the rest takes for granted.
func TestShopIsSound(t *testing.T) {
	t.Parallel()
	s := theShop()
	known := map[string]bool{}
	for _, service := range s.services {
		for _, op := range service.operations {
			known[service.name+" "+op.method+" "+op.path] = true
		}
	}
	for _, e := range s.externals {
		for _, op := range e.operations {
			known[e.host+" "+op.method+" "+op.path] = true
		}
	}
	check := func(owner string, op operation) {
		for _, step := range op.steps {
			_, database := s.database(step.query)
			_, queue := s.queue(step.publish)
			if n := btoi(known[step.call]) + btoi(database) + btoi(queue); n != 1 {
				t.Errorf("%s, %s: step %+v leads to %d peers, not to one", owner, op.name(), step, n)
			}
		}
	}
	for _, service := range s.services {
		for _, op := range service.operations {
			check(service.name, op)
		}
	}
	for _, q := range s.queues {
		if _, ok := s.service(q.consumer); !ok {
			t.Errorf("queue %s: nobody is called %s", q.name, q.consumer)
		}
		check(q.name, q.process)
	}
	for _, flow := range theFlows() {
		if !known["frontend "+flow.method+" "+flow.path] {
			t.Errorf("flow %s asks the frontend for %s %s, which it does not do", flow.name, flow.method, flow.path)
		}
	}
}

func TestDeclaredTopologyGrowsByOneEdge(t *testing.T) {
	t.Parallel()
	base, released := DeclaredTopology(), DeclaredTopology(ChapterRelease)
	if diff := cmp.Diff(base.Nodes, released.Nodes); diff != "" {
		t.Errorf("the release changes nodes:\n%s", diff)
	}
	var added []string
	for _, e := range released.Edges {
		if !containsEdge(base.Edges, e.ID) {
			added = append(added, e.ID)
		}
	}
	if diff := cmp.Diff([]string{"shop/recommend>shop/reviews|http"}, added); diff != "" || len(released.Edges) != len(base.Edges)+1 {
		t.Errorf("edges added by the release:\n%s", diff)
	}
	services := 0
	for _, n := range base.Nodes {
		services += btoi(n.Kind == "service")
	}
	if services < 12 {
		t.Errorf("%d services; the demo promises at least 12", services)
	}
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c := parseTraceparent(header)
	if got := c.traceparent(); got != header {
		t.Errorf("%s became %s", header, got)
	}
	if child := c.child(); child.trace != c.trace || child.span == c.span {
		t.Errorf("child of %s is %s", header, child.traceparent())
	}
	for _, bad := range []string{"", "00", "00-xyz", "00-" + strings.Repeat("g", 32) + "-b7ad6b7169203331-01", header + "-more"} {
		if got := parseTraceparent(bad); got != (spanContext{}) {
			t.Errorf("%q was read as %s", bad, got.traceparent())
		}
	}
	if child := (spanContext{}).child(); child.trace == [16]byte{} {
		t.Error("a span without a parent has no trace")
	}
}

func TestOperationFits(t *testing.T) {
	t.Parallel()
	f := func(template, method, path string, want bool) {
		t.Helper()
		if got := (operation{method: "GET", path: template}).fits(method, path); got != want {
			t.Errorf("GET %s fits %s %s: %v, want %v", template, method, path, got, want)
		}
	}
	f("/", "GET", "/", true)
	f("/", "POST", "/", false)
	f("/products/{id}", "GET", fillPath("/products/{id}"), true)
	f("/products/{id}", "GET", "/products", false)
	f("/products/{id}", "GET", "/products/1/2", false)
	f("/products", "GET", "/products/1", false)
}

func containsEdge(edges []TopologyEdge, id string) bool {
	for _, e := range edges {
		if e.ID == id {
			return true
		}
	}
	return false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFaultsAreOfTheShop(t *testing.T) {
	t.Parallel()
	var struck []string
	for _, c := range Chapters() {
		f, ok := FaultOf(c)
		if !ok {
			continue
		}
		struck = append(struck, c)
		known := func(n TopologyNode) bool { return n.ID == f.Node && n.Kind == telemetry.NodeService.String() }
		if !slices.ContainsFunc(DeclaredTopology().Nodes, known) || f.Kind == telemetry.AilmentNone {
			t.Errorf("%s strikes %+v, which is no service of the shop", c, f)
		}
	}
	if diff := cmp.Diff([]string{ChapterSlow, ChapterErrors, ChapterQuota}, struck); diff != "" {
		t.Errorf("chapters in which somebody is ill (-want +got):\n%s", diff)
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	m := &Mesh{story: newStory(Config{})}
	if err := m.Tell(ChapterErrors); err != nil || !m.story.telling(ChapterErrors) {
		t.Errorf("errors: %v, and told is %s", err, m.story.now.Load().name)
	}
	if err := m.Tell("nonsense"); err == nil || !m.story.telling(ChapterErrors) {
		t.Errorf("nonsense: %v, and told is %s", err, m.story.now.Load().name)
	}
	if err := m.Tell(ChapterCalm); err != nil || !m.story.telling(ChapterCalm) {
		t.Errorf("calm: %v, and told is %s", err, m.story.now.Load().name)
	}
}
