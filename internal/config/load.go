package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/binnacle-mesh/binnacle/docs/operations"
)

// ErrInvalid marks errors that are the configuration's fault, or that of a file which it names.
var ErrInvalid = errors.New("the configuration is wrong")

// invalid is an error that is ErrInvalid and keeps its own words.
type invalid struct{ error }

// Is says that it is ErrInvalid.
func (invalid) Is(target error) bool { return target == ErrInvalid }

// Unwrap is the error itself.
func (e invalid) Unwrap() error { return e.error }

// Invalid marks an error as the configuration's: errors.Is(err, ErrInvalid).
func Invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalid{err}
}

// A Source is where a configuration comes from, so that it can be read again:
// the file, and what the command line says over it. The zero Source is the defaults.
type Source struct {
	File string
	Data string // in place of the file's data, unless empty
}

// Load reads the configuration and checks it.
func (s Source) Load() (Config, error) {
	c, err := Load(s.File)
	if s.Data != "" {
		c.Data = s.Data
	}
	return c, err
}

// Schema is the JSON Schema of the file.
func Schema() []byte { return operations.ConfigSchema }

// Load reads a file over the defaults and checks the result. An empty name
// gives the defaults.
func Load(name string) (Config, error) {
	c := Default()
	if name == "" {
		return c, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return c, Invalid(fmt.Errorf("read configuration: %w", err))
	}
	if err := c.parse(b, os.LookupEnv); err != nil {
		return c, Invalid(fmt.Errorf("configuration %s: %w", name, err))
	}
	return c, nil
}

// parse reads YAML over what c holds and checks the result.
func (c *Config) parse(b []byte, env func(string) (string, bool)) error {
	b, err := expand(b, env)
	if err != nil {
		return err
	}
	if b, err = sizes(b); err != nil {
		return err
	}
	const unset = -1
	c.Receive.Limits.MaxAge = unset
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return tidy(err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("there is a second YAML document after ---; only one is read")
	}
	if c.Receive.Limits.MaxAge == unset {
		c.Receive.Limits.MaxAge = c.keptFor()
	}
	return c.Validate()
}

// tidy makes yaml's error one line without the names of our types.
func tidy(err error) error {
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines := make([]string, len(te.Errors))
		for i, l := range te.Errors {
			l, _, _ = strings.Cut(l, " in type ")
			l = strings.Replace(l, "not found", "is not known here", 1)
			l = strings.Replace(l, "into time.Duration", "as a duration; write a number with its unit, as 10s, 5m or 168h", 1)
			lines[i] = strings.Replace(l, "cannot unmarshal", "cannot read", 1)
		}
		return errors.New(strings.Join(lines, "; "))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
}
