package api

import (
	"fmt"
	"net/http"
	"strings"
)

// A Dialect is a query API as its own clients know it: Jaeger's, Prometheus', ours. It owns
// its paths, what its errors look like, and its encoding. The host gives what all have in
// common: who may ask, a time limit, a turn among those that search, compression, measuring.
type Dialect interface {
	// Routes is everything that is served, at the paths that clients of the dialect know.
	Routes() []Route
	// Error is how such a client is told that its request failed. detail is for people.
	Error(status int, detail string) Answer
}

// A Route is one path of a dialect. One of Answer and Serve is set.
type Route struct {
	// Pattern is a method and a path, as [http.ServeMux] reads them.
	Pattern string
	Cost    Cost
	// CostOf, if set, says what a request costs where that depends on what it asks for.
	CostOf func(*http.Request) Cost
	// Answer answers from memory. An error is told in the dialect's form, see [Error].
	Answer func(*http.Request) (Answer, error)
	// Serve writes the answer itself: a stream, or another's handler. The request's path is the one that clients of
	// the dialect know, wherever the dialect is mounted. An error that comes before anything is written is told as above.
	Serve func(http.ResponseWriter, *http.Request) error
}

// Cost says what may be spent on a request.
type Cost uint8

// The costs.
const (
	Cheap   Cost = iota // answered from memory
	Search              // reads a store: waits for its turn; what goes through much says so, see ask.Ask.Heavy
	Endless             // a stream or a profile: no timeout
)

// A Mounted is a dialect with its place on the web port.
type Mounted struct {
	// Name is the dialect's key in the configuration, api.dialects; what has none there is always served.
	Name    string
	Dialect Dialect
	// Base is a folder below which the dialect is reached besides, such as "/jaeger", so that a client can be given the
	// address of this server and that folder as if it were a server of its own. Dialects that one product
	// speaks side by side share one. "" is none.
	Base string
	Mount
}

// Always is where a dialect stands that no configuration moves.
func Always() Mount { return Mount{Enabled: true} }

// places are the prefixes under which the dialect's paths are served, the one that names its metrics first.
func (m *Mounted) places() []string {
	switch {
	case !m.Enabled:
		return nil
	case m.Base == "" || m.Base == m.Prefix:
		return []string{m.Prefix}
	}
	return []string{m.Prefix, m.Base}
}

// A claim is a path that a dialect is to be served at.
type claim struct {
	by      *Mounted
	route   Route
	pattern string // with the prefix
	prefix  string
	label   string // of its metrics: the same wherever it is reached
}

func claims(list []Mounted) []claim {
	var out []claim
	for i := range list {
		m := &list[i]
		for _, prefix := range m.places() {
			for _, rt := range m.Dialect.Routes() {
				method, path, _ := strings.Cut(rt.Pattern, " ")
				out = append(out, claim{by: m, route: rt, prefix: prefix, pattern: method + " " + prefix + path, label: method + " " + m.Prefix + path})
			}
		}
	}
	return out
}

// checkClaims refuses two dialects that want one path: which of them answers must be said, not guessed.
func checkClaims(all []claim) error {
	for i := range all {
		for k := range all[:i] {
			a, b := &all[k], &all[i]
			if a.by == b.by || !overlap(a.pattern, b.pattern) {
				continue
			}
			move := b.by
			if move.Base == "" {
				move = a.by
			}
			return fmt.Errorf("api.dialects: %s and %s both claim %s; set api.dialects.%s.prefix, to %q for instance, or enabled: false for one of them",
				a.by.Name, b.by.Name, b.pattern, move.Name, "/"+strings.ReplaceAll(move.Name, "_", "-"))
		}
	}
	return nil
}

// overlap says whether a request could match both patterns. Which of them http.ServeMux would choose plays no part.
func overlap(a, b string) bool {
	methodA, pathA, _ := strings.Cut(a, " ")
	methodB, pathB, _ := strings.Cut(b, " ")
	return methodA == methodB && overlapPaths(strings.Split(pathA, "/")[1:], strings.Split(pathB, "/")[1:])
}

func overlapPaths(a, b []string) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(a) || i == len(b):
			return len(a) == len(b)
		case open(a, i), open(b, i):
			return true
		case a[i] != b[i] && !strings.HasPrefix(a[i], "{") && !strings.HasPrefix(b[i], "{"):
			return false
		}
	}
}

// open says that a pattern takes whatever stands from its i-th segment on: it ends there in a slash or in {name...}.
func open(path []string, i int) bool {
	return i == len(path)-1 && (path[i] == "" || strings.HasSuffix(path[i], "...}"))
}
