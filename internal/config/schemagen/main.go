// Command schemagen writes the JSON Schema of the configuration, from the types
// that it is decoded into: names, kinds and defaults from the values, descriptions from
// the comments on the fields, choices from the tag enum. Run it by go generate
// ./internal/config; a test of this package says when that was forgotten.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// file is the schema's place, from the root of the repository.
var file = filepath.Join("docs", "operations", "config.schema.json") //nolint:gochecknoglobals // immutable

func main() {
	root := filepath.Join("..", "..") // go generate runs in internal/config
	schema, err := generate(root)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, file), schema, 0o644) //nolint:gosec // a document
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// generate is the schema; root is where the sources are.
func generate(root string) ([]byte, error) {
	g := generator{root: root, packages: map[string]comments{}}
	schema := object{
		{"$schema", "http://json-schema.org/draft-07/schema#"}, // the one that editors know best
		{"title", "Configuration of Binnacle"},
	}
	schema = append(schema, g.section(reflect.ValueOf(config.Default()))...)
	if g.err != nil {
		return nil, g.err
	}
	b, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
