package rule

import (
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

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
