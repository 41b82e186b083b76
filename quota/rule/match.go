package rule

// Entry is one key and value of a request's descriptor, in the buffer that the request came in.
type Entry struct{ Key, Value []byte }

// Match is the rule that applies to a descriptor.
type Match struct {
	Rule *Rule
	// Patterns holds, for entries that matched a wildcard with share_threshold, the wildcard's value: all their values share
	// one counter under that name. It is empty where nothing is shared, else as long as the descriptor.
	Patterns []string
	// Levels are the nodes that the entries matched; see [Match.MetricKey].
	levels []*node
}

// Find looks for the rule of a descriptor and says whether there is one; a nil domain has none. m and scratch are reused from call
// to call.
//
// Each entry is looked up among the children of the one before: key with value first, then wildcards in the order of the file,
// then the key alone. The descriptor must be exactly as deep as the rule: a limit on the way is not used.
func (d *Domain) Find(entries []Entry, m *Match, scratch *[]byte) bool {
	m.Rule, m.Patterns, m.levels = nil, m.Patterns[:0], m.levels[:0]
	if d == nil {
		return false
	}
	at := &d.root
	for i := range entries {
		if len(at.children) == 0 {
			return false
		}
		e := &entries[i]
		at = at.child(e, scratch)
		if at == nil {
			return false
		}
		if at.share {
			for len(m.Patterns) < i {
				m.Patterns = append(m.Patterns, "")
			}
			m.Patterns = append(m.Patterns, at.value)
		}
		m.levels = append(m.levels, at)
	}
	if at.rule == nil {
		return false
	}
	if len(m.Patterns) > 0 {
		for len(m.Patterns) < len(entries) {
			m.Patterns = append(m.Patterns, "")
		}
	}
	m.Rule = at.rule
	return true
}

func (n *node) child(e *Entry, scratch *[]byte) *node {
	name := (*scratch)[:0]
	name = append(name, e.Key...)
	name = append(name, '_')
	name = append(name, e.Value...)
	*scratch = name
	if c := n.children[string(name)]; c != nil {
		return c
	}
	for i := range n.wildcards {
		if n.wildcards[i].match(name) {
			return n.wildcards[i].node
		}
	}
	return n.children[string(e.Key)]
}

// MetricKey appends the name under which envoyproxy/ratelimit counts the descriptor when detailed_metric or value_to_metric ask
// for values in it: levels as key or key_value, joined by dots.
func (m *Match) MetricKey(entries []Entry, dst []byte) []byte {
	for i, n := range m.levels {
		if i > 0 {
			dst = append(dst, '.')
		}
		e := &entries[i]
		dst = append(dst, e.Key...)
		switch {
		case n.share: // always the pattern: its values share a counter, and so they do here
			dst = append(append(dst, '_'), n.value...)
		case (m.Rule.Detailed || n.byValue || n.exact()) && len(e.Value) > 0:
			dst = append(append(dst, '_'), e.Value...)
		case n.value != "":
			dst = append(append(dst, '_'), n.value...)
		}
	}
	return dst
}

// exact says that the node stands for one value only.
func (n *node) exact() bool { return n.value != "" && !hasStar(n.name()) }
