package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// File is the content of one rule file.
type File struct {
	Name    string
	Content []byte
}

// Options change how files are read.
type Options struct {
	// MergeDomains lets several files have rules for one domain (MERGE_DOMAIN_CONFIG of envoyproxy/ratelimit). Without it, a
	// second file of a domain is an error.
	MergeDomains bool
}

// Error is one thing wrong with a rule file.
type Error struct {
	File   string
	Line   int    // 1-based; 0 where the whole file is meant
	Path   string // where in the tree of descriptors, as "key1=value1 / subkey"; may be empty
	What   string // what is wrong
	Remedy string // what to do
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Path != "" {
		fmt.Fprintf(&b, "%s: ", e.Path)
	}
	b.WriteString(e.What)
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// maxErrors is how many errors are told at once.
const maxErrors = 20

// Load reads a set of rules out of the YAML files of envoyproxy/ratelimit. It accepts the files that the original accepts and
// refuses those that it refuses, but tells all that is wrong (up to 20 things, joined) instead of the first. Each is an *Error.
// It also returns the domain of each file, in the order of files.
func Load(files []File, o Options) (*Set, []string, error) {
	l := &loader{set: &Set{domains: make(map[string]*Domain)}, options: o, origin: make(map[string]string)}
	domains := make([]string, len(files))
	for i, f := range files {
		domains[i] = l.file(f)
	}
	if len(l.errs) > 0 {
		return nil, domains, errors.Join(l.errs...)
	}
	l.number()
	return l.set, domains, nil
}

type loader struct {
	set     *Set
	options Options
	origin  map[string]string // file that brought a domain
	name    string            // of the file being read
	errs    []error
}

func (l *loader) fail(line int, path, remedy, what string, args ...any) {
	if len(l.errs) < maxErrors {
		l.errs = append(l.errs, &Error{File: l.name, Line: line, Path: path, What: fmt.Sprintf(what, args...), Remedy: remedy})
	}
}

func (l *loader) file(f File) (domain string) {
	l.name = f.Name
	root, ok := l.parse(f.Content)
	if !ok {
		return ""
	}
	doc := l.root(root)
	if doc.domain == "" {
		l.fail(root.line(), "", "write domain: <name> at the top, the name that proxies send", "the file has no domain")
		return ""
	}
	at := l.set.domains[doc.domain]
	if at != nil && !l.options.MergeDomains {
		l.fail(doc.domainLine, "", "put both into one file, or allow merging (merge_domains)",
			"domain %q is already in file %s", doc.domain, l.origin[doc.domain])
		return doc.domain
	}
	if at == nil {
		at = &Domain{node{children: make(map[string]*node)}}
		l.set.domains[doc.domain] = at
		l.origin[doc.domain] = f.Name
	}
	l.add(&at.root, nil, doc.domain, doc.descriptors)
	return doc.domain
}

// add puts descriptors below parent, whose path from the root is given.
func (l *loader) add(parent *node, path []*node, domain string, descriptors []descriptor) {
	for i := range descriptors {
		d := &descriptors[i]
		n := &node{key: d.key, value: d.value, share: d.share, byValue: d.valueToMetric, children: make(map[string]*node)}
		path := append(slices.Clip(path), n)
		where := describe(path)
		if d.key == "" {
			l.fail(d.line, describe(path[:len(path)-1]), "give it a key", "a descriptor has no key")
			continue
		}
		name := n.name()
		if parent.children[name] != nil {
			l.fail(d.line, where, "remove one, or give it another value", "the descriptor stands twice at this level")
			continue
		}
		if d.share && !hasStar(name) {
			l.fail(d.line, where, "put a * into its value, or remove share_threshold",
				"share_threshold is for wildcards, and neither key nor value has a *")
		}
		if d.limit != nil {
			n.rule = l.rule(d, path, domain)
			l.set.Rules = append(l.set.Rules, n.rule)
		}
		parent.children[name] = n
		if hasStar(name) {
			parent.wildcards = append(parent.wildcards, wildcard{parts: strings.Split(name, "*"), node: n})
		}
		l.add(n, path, domain, d.children)
	}
}

func (l *loader) rule(d *descriptor, path []*node, domain string) *Rule {
	where := describe(path)
	r := &Rule{
		Domain: domain, Descriptor: where, Shadow: d.shadow, Quota: d.quota, Detailed: d.detailed,
		Limit: Limit{Name: d.limit.name, RequestsPerUnit: d.limit.requests, Unlimited: d.limit.unlimited},
	}
	r.OnFailure, r.Metadata = l.extension(d, where)
	for _, n := range path {
		r.Path = append(r.Path, n.name())
		r.ByValue = r.ByValue || n.byValue
	}
	r.ID = domain + "/" + strings.Join(r.Path, "/")
	unit, known := ParseUnit(d.limit.unit)
	switch {
	case d.limit.unlimited && known:
		l.fail(d.limit.line, where, "remove unit, or remove unlimited", "an unlimited rate limit has a unit, %q", d.limit.unit)
	case !d.limit.unlimited && d.limit.unit == "":
		l.fail(d.limit.line, where, knownUnits, "the rate limit has no unit")
	case !d.limit.unlimited && !known:
		l.fail(d.limit.line, where, knownUnits, "unit %q is not known", d.limit.unit)
	}
	r.Limit.Unit = unit
	for _, name := range d.limit.replaces {
		switch name {
		case "":
			l.fail(d.limit.line, where, "write replaces: [{name: <name of a rate_limit>}]", "an entry of replaces has no name")
		case d.limit.name:
			l.fail(d.limit.line, where, "remove that entry", "the rate limit replaces itself (%q)", name)
		}
	}
	r.Replaces = d.limit.replaces
	return r
}

const knownUnits = "use second, minute, hour, day, week, month (30 days) or year (365 days)"

// number makes identifiers unique and numbers the rules. Two rules of different place can only have the same identifier where
// keys or values contain slashes.
func (l *loader) number() {
	seen := make(map[string]int, len(l.set.Rules))
	for i, r := range l.set.Rules {
		r.Index = i
		seen[r.ID]++
		if n := seen[r.ID]; n > 1 {
			r.ID = fmt.Sprintf("%s#%d", r.ID, n)
		}
	}
}

func hasStar(s string) bool { return strings.Contains(s, "*") }
