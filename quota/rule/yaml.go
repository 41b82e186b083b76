package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// The files are read as YAML nodes, not into structs: an error must name its line and its place in the tree, and the original's
// rules about keys (a closed set, the same at every level) are not those of a strict struct.

// document, descriptor and rateLimit are a file as written, before it is checked for sense.
type document struct {
	domain      string
	domainLine  int
	descriptors []descriptor
}

type descriptor struct {
	line          int
	key, value    string
	limit         *rateLimit
	children      []descriptor
	shadow        bool
	quota         bool
	detailed      bool
	valueToMetric bool
	share         bool
	metadata      *structpb.Struct
}

type rateLimit struct {
	line      int
	requests  uint32
	unit      string
	unlimited bool
	name      string
	replaces  []string
}

// knownKeys may stand at every level; where they have no meaning they are ignored, as in the original.
var knownKeys = []string{
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
		l.fail(n.Line, "", "split it, or write out its aliases", "the file is nested deeper than %d levels or expands to more than %d values", maxDepth, maxNodes)
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

func (l *loader) root(n yamlNode) (d document) {
	fields(n.n, func(key string, v *yaml.Node) {
		switch key {
		case "domain":
			d.domain, d.domainLine = l.text(v, "", key), v.Line
		case "descriptors":
			d.descriptors = l.descriptors(v, "")
		}
	})
	return d
}

func (l *loader) descriptors(n *yaml.Node, path string) []descriptor {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		l.fail(n.Line, path, "write a list: - key: …", "descriptors is not a list")
		return nil
	}
	list := make([]descriptor, 0, len(n.Content))
	for _, e := range n.Content {
		list = append(list, l.descriptor(resolve(e), path))
	}
	return list
}

func (l *loader) descriptor(n *yaml.Node, path string) (d descriptor) {
	d.line = n.Line
	fields(n, func(key string, v *yaml.Node) { // first, since errors below name it
		switch key {
		case "key":
			d.key = l.text(v, path, key)
		case "value":
			d.value = l.text(v, path, key)
		}
	})
	if path != "" {
		path += " / "
	}
	if path += d.key; d.value != "" {
		path += "=" + d.value
	}
	fields(n, func(key string, v *yaml.Node) {
		switch key {
		case "descriptors":
			d.children = l.descriptors(v, path)
		case "rate_limit":
			d.limit = l.rateLimit(v, path)
		case "shadow_mode":
			d.shadow = l.truth(v, path, key)
		case "quota_mode":
			d.quota = l.truth(v, path, key)
		case "detailed_metric":
			d.detailed = l.truth(v, path, key)
		case "value_to_metric":
			d.valueToMetric = l.truth(v, path, key)
		case "share_threshold":
			d.share = l.truth(v, path, key)
		case "metadata":
			d.metadata = l.metadata(v, path)
		}
	})
	return d
}

func (l *loader) rateLimit(n *yaml.Node, path string) *rateLimit {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		l.fail(n.Line, path, "write rate_limit: {unit: …, requests_per_unit: …}", "rate_limit is not a map")
		return nil
	}
	r := &rateLimit{line: n.Line}
	fields(n, func(key string, v *yaml.Node) {
		switch key {
		case "requests_per_unit":
			if isNull(v) {
				r.requests = 0
			} else if v.ShortTag() != "!!int" || v.Decode(&r.requests) != nil {
				l.fail(v.Line, path, "write a whole number from 0 to 4294967295", "requests_per_unit is %q", v.Value)
			}
		case "unit":
			r.unit = l.text(v, path, key)
			r.line = v.Line
		case "unlimited":
			r.unlimited = l.truth(v, path, key)
		case "name":
			r.name = l.text(v, path, key)
		case "replaces":
			r.replaces = l.replaces(v, path)
		}
	})
	return r
}

func (l *loader) replaces(n *yaml.Node, path string) []string {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		l.fail(n.Line, path, "write replaces: [{name: …}]", "replaces is not a list")
		return nil
	}
	var names []string
	for _, e := range n.Content {
		name := ""
		fields(e, func(key string, v *yaml.Node) {
			if key == "name" {
				name = l.text(v, path, "name")
			}
		})
		names = append(names, name)
	}
	return names
}

// text takes any scalar as it is written: value: 8080 and value: yes are the texts 8080 and yes.
func (l *loader) text(n *yaml.Node, path, key string) string {
	if isNull(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		l.fail(n.Line, path, "write a single value", "%s is not text", key)
		return ""
	}
	return n.Value
}

func (l *loader) truth(n *yaml.Node, path, key string) bool {
	var b bool
	if isNull(n) {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Decode(&b) != nil {
		l.fail(n.Line, path, "write true or false", "%s is %q", key, n.Value)
	}
	return b
}

func (l *loader) metadata(n *yaml.Node, path string) *structpb.Struct {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		l.fail(n.Line, path, "write a map of keys to values", "metadata is not a map")
		return nil
	}
	v := value(n).GetStructValue()
	if len(v.Fields) == 0 {
		return nil
	}
	return v
}

// value makes of any YAML what a protobuf Value can hold. Keys of other kinds than text (1: x) become text; dates stay text.
func value(n *yaml.Node) *structpb.Value {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		s := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
		fields(n, func(key string, v *yaml.Node) { s.Fields[key] = value(v) })
		return structpb.NewStructValue(s)
	case yaml.SequenceNode:
		list := &structpb.ListValue{}
		for _, e := range n.Content {
			list.Values = append(list.Values, value(e))
		}
		return structpb.NewListValue(list)
	}
	var b bool
	var f float64
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return structpb.NewNullValue()
	case (tag == "!!bool" || tag == "!!str" && n.Style == 0) && n.Decode(&b) == nil: // yes and no are true and false in YAML 1.1
		return structpb.NewBoolValue(b)
	case (tag == "!!int" || tag == "!!float") && n.Decode(&f) == nil:
		return structpb.NewNumberValue(f)
	}
	return structpb.NewStringValue(n.Value)
}
