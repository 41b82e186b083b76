package config

import (
	"bytes"
	"fmt"
	"regexp"
)

// reference is ${NAME} or ${NAME:-default}. ${env:NAME} and other ${scheme:...}
// are left alone: they belong to the OpenTelemetry Collector's section.
var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expand puts environment variables in. A variable that is not set and has no
// default is an error: an empty value would be found out much later.
func expand(b []byte, env func(string) (string, bool)) ([]byte, error) {
	var missing error
	out := reference.ReplaceAllFunc(b, func(m []byte) []byte {
		parts := reference.FindSubmatch(m)
		if v, ok := env(string(parts[1])); ok {
			return []byte(v)
		}
		if parts[2] != nil {
			return parts[3]
		}
		if missing == nil {
			before, _, _ := bytes.Cut(b, m)
			line := 1 + bytes.Count(before, []byte("\n"))
			missing = fmt.Errorf("line %d: the environment has no %s; set it, or write ${%s:-default}", line, parts[1], parts[1])
		}
		return m
	})
	return out, missing
}
