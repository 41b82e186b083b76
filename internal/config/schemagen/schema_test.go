package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

var root = filepath.Join("..", "..", "..")

// TestSchemaIsUpToDate compares what is checked in with the types.
func TestSchemaIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), string(want)); diff != "" {
		t.Errorf("%s is not what the types say: go generate ./internal/config\n(-checked in +types):\n%s", file, diff)
	}
	if !bytes.Equal(have, config.Schema()) {
		t.Error("the server serves another schema")
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds a file against the schema, as an editor does.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// load reads a file as the server does.
func load(t *testing.T, text string) error {
	t.Helper()
	name := filepath.Join(t.TempDir(), "binnacle.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(name)
	return err
}

// TestSchemaAgreesWithTheServer gives both the same files.
func TestSchemaAgreesWithTheServer(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for text, sound := range map[string]bool{
		"":                                                             true,
		"listen: {web: \"\"}":                                          true,
		"topology:":                                                    true,
		"log: {level: debug}":                                          true,
		"data: ${NONE:-here}":                                          true,
		"log: {level: '${NONE:-warn}'}":                                true,
		"api:\n  max_streams: ${NONE:-7}":                              true,
		"api:\n  pprof: ${NONE:-true}":                                 true,
		"storage: {wal: {max_bytes: 2GiB}}":                            true,
		"storage: {wal: {max_bytes: '2 GiB'}}":                         true,
		"storage: {wal: {max_bytes: 4294967296}}":                      true,
		"storage: {retention_interval: 1h30m}":                         true,
		"topology: {health: {degraded_latency: 2.5}}":                  true,
		"quota: {source_keys: [a, b]}":                                 true,
		"collector: {receivers: {zipkin: {endpoint: 'a:1'}}}":          true,
		"collector: {receivers: {}, service: {telemetry: {logs: {}}}}": true,
		"lisen: {}":                                                    false,
		"listen: {wbe: x}":                                             false,
		"storage: {blocks: {retenton_age: 5}}":                         false,
		"log: {level: loud}":                                           false,
		"storage: {wal: {max_bytes: 2GB}}":                             false,
		"storage: {wal: {max_bytes: many}}":                            false,
		"storage: {retention_interval: 7}":                             false,
		"storage: {retention_interval: 7d}":                            false,
		"api: {max_streams: many}":                                     false,
		"api: {pprof: sometimes}":                                      false,
		"quota: {files: {a: b}}":                                       false,
		"listen: [web]":                                                false,
	} {
		if err := validate(t, s, text); (err == nil) != sound {
			t.Errorf("%q: the schema says %v", text, err)
		}
		if err := load(t, text); (err == nil) != sound {
			t.Errorf("%q: the server says %v", text, err)
		}
	}
}

// TestDocsHaveSoundExamples holds each YAML block of the pages that is a whole
// configuration, or whole sections of one, against the schema. (A test of config
// holds them against the server.)
func TestDocsHaveSoundExamples(t *testing.T) {
	t.Parallel()
	s := schema(t)
	sections := map[string]bool{}
	var names struct{ Properties map[string]any }
	if err := json.Unmarshal(config.Schema(), &names); err != nil {
		t.Fatal(err)
	}
	for name := range names.Properties {
		sections[name] = true
	}
	examples := 0
	if err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".md") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, block := range strings.Split(string(b), "```yaml\n") {
			text, _, _ := strings.Cut(block, "```")
			var top map[string]any
			if i == 0 || yaml.Unmarshal([]byte(text), &top) != nil {
				continue
			}
			for name := range top {
				if !sections[name] {
					top = nil // something else: a rule file, an Envoy's
				}
			}
			if len(top) == 0 {
				continue
			}
			examples++
			if err := validate(t, s, text); err != nil {
				t.Errorf("%s: the schema refuses\n%s%v", path, text, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if examples < 2 {
		t.Errorf("%d examples in docs: they are not found any more", examples)
	}
}
