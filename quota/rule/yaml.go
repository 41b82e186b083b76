package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The files are read as YAML nodes, not into structs: an error must name its line and its place in the tree, and the original's
// rules about keys (a closed set, the same at every level) are not those of a strict struct.

// knownKeys may stand at every level; where they have no meaning they are ignored, as in the original.
var knownKeys = []string{ //nolint:gochecknoglobals // immutable
	"domain", "key", "value", "descriptors", "rate_limit", "unit", "requests_per_unit", "unlimited", "shadow_mode", "quota_mode",
	"name", "replaces", "detailed_metric", "value_to_metric", "share_threshold", "metadata",
}

const (
	maxDepth = 64      // of nested YAML; real files have at most 10 levels
	maxNodes = 1 << 20 // with aliases counted as often as they are used: a bound on what a small file can blow up to
)

// yamlNode is a YAML node with its aliases and merge keys resolved.
type yamlNode struct{ n *yaml.Node }

func (n yamlNode) line() int {
	if n.n == nil {
		return 0
	}
	return n.n.Line
}

// parse reads the first document of a file. An empty one is an empty map.
func (l *loader) parse(content []byte) (yamlNode, bool) {
	var doc yaml.Node
	err := decode(content, &doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return yamlNode{&yaml.Node{Kind: yaml.MappingNode, Line: 1}}, true
	}
	if err != nil {
		l.fail(0, "", "correct the file; a YAML checker shows the place", "not valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return yamlNode{}, false
	}
	root := yamlNode{doc.Content[0]}
	budget := maxNodes
	if !l.check(root.n, 0, &budget) {
		return yamlNode{}, false
	}
	if isNull(root.n) {
		return yamlNode{&yaml.Node{Kind: yaml.MappingNode, Line: 1}}, true
	}
	return root, true
}

// decode is yaml.Unmarshal with the parser's panics made errors: a file must never end the server.
func decode(content []byte, into *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", p)
		}
	}()
	return yaml.NewDecoder(bytes.NewReader(content)).Decode(into)
}

// check walks the tree once: keys must be known strings, values of the kinds that rule files have.
func (l *loader) check(n *yaml.Node, depth int, budget *int) bool {
	if *budget--; *budget < 0 || depth > maxDepth {
		l.fail(n.Line, "", "split it, or write out its aliases",
			"the file is nested deeper than %d levels or expands to more than %d values", maxDepth, maxNodes)
		return false
	}
	n = resolve(n)
	if depth == 0 && n.Kind != yaml.MappingNode && !isNull(n) {
		l.fail(n.Line, "", "start it with domain: and descriptors:", "the file is not a map")
		return false
	}
	if n.Kind != yaml.MappingNode {
		return true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := resolve(n.Content[i]), resolve(n.Content[i+1])
		if n.Content[i].Tag == "!!merge" {
			if !l.checkMerge(v, depth+1, budget) {
				return false
			}
			continue
		}
		if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" {
			l.fail(k.Line, "", "use one of the known keys", "key %q is not a string", k.Value)
			return false
		}
		if !slices.Contains(knownKeys, k.Value) {
			l.fail(k.Line, "", suggest(k.Value), "key %q is not known", k.Value)
			return false
		}
		if k.Value == "metadata" {
			if !l.measure(v, depth+1, budget) {
				return false
			}
			continue // whatever it holds
		}
		switch v.Kind {
		case yaml.SequenceNode:
			for _, e := range v.Content {
				if resolve(e).Kind != yaml.MappingNode {
					l.fail(e.Line, "", "write each element as a map (- key: …)", "an element of %s is not a map", k.Value)
					return false
				}
				if !l.check(e, depth+1, budget) {
					return false
				}
			}
		case yaml.MappingNode:
			if !l.check(v, depth+1, budget) {
				return false
			}
		case yaml.ScalarNode:
			if tag := v.ShortTag(); tag == "!!float" {
				l.fail(v.Line, "", "put it in quotes if it is text, or make it a whole number", "%s is a number with a fraction (%s)", k.Value, v.Value)
				return false
			}
		}
	}
	return true
}

// checkMerge checks what a merge key (<<) names: a map or a list of maps.
func (l *loader) checkMerge(v *yaml.Node, depth int, budget *int) bool {
	maps := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		maps = v.Content
	}
	for _, m := range maps {
		if resolve(m).Kind != yaml.MappingNode {
			l.fail(m.Line, "", "merge a map: <<: *anchor", "a merge key names something that is not a map")
			return false
		}
		if !l.check(m, depth, budget) {
			return false
		}
	}
	return true
}

// measure spends the budget on a subtree whose content is free.
func (l *loader) measure(n *yaml.Node, depth int, budget *int) bool {
	if *budget--; *budget < 0 || depth > maxDepth {
		l.fail(n.Line, "", "make it smaller", "metadata is nested deeper than %d levels or expands to more than %d values", maxDepth, maxNodes)
		return false
	}
	for _, c := range resolve(n).Content {
		if !l.measure(c, depth+1, budget) {
			return false
		}
	}
	return true
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// suggest names the known key that is meant, if one is near.
func suggest(key string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
	for _, k := range knownKeys {
		if plain(k) == plain(key) {
			return fmt.Sprintf("did you mean %s?", k)
		}
	}
	return "known are " + strings.Join(knownKeys, ", ")
}

// fields calls f for each key of a map, aliases and merge keys resolved. Of a key that stands twice the last counts, and one
// that is written out counts more than one merged in.
func fields(n *yaml.Node, f func(key string, v *yaml.Node)) {
	n = resolve(n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			switch v := resolve(n.Content[i+1]); v.Kind {
			case yaml.MappingNode:
				fields(v, f)
			case yaml.SequenceNode:
				for _, m := range slices.Backward(v.Content) {
					fields(m, f)
				}
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			f(resolve(n.Content[i]).Value, resolve(n.Content[i+1]))
		}
	}
}
