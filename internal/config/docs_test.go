package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/connect"
)

// What the documents tell people to write is taken by what reads it: configurations and rule files as
// `binnacle check-config` reads them, lines for an Envoy as internal/connect writes them (and a real Envoy takes them there).
func TestYAMLOfTheDocumentsIsTaken(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "operations", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlocks(string(text)) {
			kind, err := check(t.TempDir(), block)
			if err != nil {
				t.Errorf("%s tells people to write what is not taken (as %s): %v\n%s", file, kind, err, block)
			}
			checked[kind]++
		}
	}
	for _, kind := range []string{"a configuration", "a rule file", "lines for an Envoy"} {
		if checked[kind] == 0 {
			t.Errorf("no document shows %s: is this test blind?", kind)
		}
	}
}

// The test above sees what is wrong.
func TestYAMLThatIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, block := range []string{
		"listen: {mash: 127.0.0.1:9091}\n",
		"storage: {checkpoint_interval: soon}\n",
		"domain: shop\ndescriptors:\n- rate_limit: {unit: minute, requests_per_unit: 60}\n",
		"additional_request_headers_to_log: [x-nobody-logs-this]\n",
	} {
		if kind, err := check(t.TempDir(), block); err == nil {
			t.Errorf("taken as %s:\n%s", kind, block)
		}
	}
}

func yamlBlocks(text string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// check tells by its first keys what a block is, and whether it is fit.
func check(dir, block string) (kind string, err error) {
	var keys map[string]any
	_ = yaml.Unmarshal([]byte(block), &keys) // a list, as of clusters, has none
	rules := filepath.Join(dir, "rules.yaml")
	c := config.Default()
	switch {
	case keys["domain"] != nil:
		kind, c.Quota.Files = "a rule file", []string{rules}
		if err := os.WriteFile(rules, []byte(block), 0o600); err != nil {
			return kind, err
		}
		return kind, c.CheckFiles()
	case keys == nil || keys["static_resources"] != nil || keys["tracing"] != nil || keys["access_log"] != nil || keys["rate_limits"] != nil ||
		keys["additional_request_headers_to_log"] != nil:
		return "lines for an Envoy", writtenByConnect(block)
	}
	file := filepath.Join(dir, "binnacle.yaml")
	if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
		return "a configuration", err
	}
	_, err = config.Load(file)
	return "a configuration", err
}

// writtenByConnect says which line of a block internal/connect does not write.
func writtenByConnect(block string) error {
	e := connect.Envoy{Mesh: connect.Target{Host: "127.0.0.1", Port: 9091}, Service: "my-service", Domain: "mesh"}
	whole, err := e.YAML(connect.Bootstrap)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, line := range strings.Split(whole, "\n") {
		have[strings.TrimSpace(line)] = true
	}
	for _, line := range strings.Split(block, "\n") {
		if !have[strings.TrimSpace(line)] {
			return fmt.Errorf("the line %q", line)
		}
	}
	return nil
}
