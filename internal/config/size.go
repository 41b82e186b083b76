package config

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SizePattern is, as a regular expression, what a number of bytes with a unit looks like.
const SizePattern = `^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$`

// sizes puts numbers in the place of what settings whose name ends in _bytes
// have with a unit: 4294967296 for 4GiB. It works on the text, so that the lines
// and the strictness of what decodes it stay; what is no YAML is left for that to
// complain of.
func sizes(b []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil || len(doc.Content) != 1 {
		return b, nil //nolint:nilerr // the decoder says it, better
	}
	var found []*yaml.Node
	if err := findSizes(doc.Content[0], true, &found); err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	for _, v := range slices.Backward(found) { // so that what is in front on the same line stays where it is
		line := []rune(string(lines[v.Line-1]))
		length := len(v.Value)
		if v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			length += 2
		}
		n, _ := parseSize(v.Value)
		at := v.Column - 1
		lines[v.Line-1] = []byte(string(line[:at]) + strconv.FormatInt(n, 10) + string(line[at+length:]))
	}
	return bytes.Join(lines, nil), nil
}

func findSizes(n *yaml.Node, top bool, found *[]*yaml.Node) error {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key := n.Content[i-1].Value
			if top && key == "collector" {
				continue // the OpenTelemetry Collector's words are its own
			}
			if strings.HasSuffix(key, "_bytes") && c.Kind == yaml.ScalarNode && c.ShortTag() == "!!str" {
				if _, err := parseSize(c.Value); err != nil {
					return fmt.Errorf("line %d: %s: %w", c.Line, key, err)
				}
				*found = append(*found, c)
			}
		}
		if err := findSizes(c, false, found); err != nil {
			return err
		}
	}
	return nil
}

// parseSize reads a number of bytes with a unit.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "BKMGTi ")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, known := map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[strings.TrimPrefix(s[len(digits):], " ")]
	if err != nil || !known || n < 0 {
		return 0, fmt.Errorf("%.40q is not a size; write a number of bytes, or one with KiB, MiB, GiB or TiB behind it, as 64MiB", s)
	}
	if n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%.40q is beyond what any disk holds", s)
	}
	return n << shift, nil
}
