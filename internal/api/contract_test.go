package api_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryRouteIsDocumented holds the table of routes and docs/api/http.md to each
// other: what is served is written there, and what is written there is served.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api/http.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := documentedPaths(string(text))
	served := map[string]bool{}
	w := newWorld(t, func(p *plan) { p.cfg.Pprof = true })
	for _, pattern := range w.api.Patterns() {
		_, p, _ := strings.Cut(pattern, " ")
		for _, base := range []string{"/jaeger", "/prometheus"} { // where each of their paths is found again
			p = strings.TrimPrefix(p, base)
		}
		served[blank(p)] = true
	}
	for p := range served {
		if !slices.Contains(documented, p) {
			t.Errorf("%s is served, and docs/api/http.md does not say so", p)
		}
	}
	for _, d := range documented {
		if !served[d] {
			t.Errorf("docs/api/http.md says that %s is served, and it is not", d)
		}
	}
}

// documentedPaths is every path of the document's table of paths. Names after a
// comma that have no slash before them are beneath the last's folder.
func documentedPaths(text string) []string {
	var out []string
	folder := ""
	for _, row := range regexp.MustCompile("(?m)^\\| `((GET|POST) )?/.*$").FindAllString(text, -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			p := strings.TrimPrefix(strings.TrimPrefix(m[1], "GET "), "POST ")
			if !strings.HasPrefix(p, "/") {
				p = folder + "/" + p
			} else {
				folder = path.Dir(p)
			}
			out = append(out, blank(p))
		}
	}
	return out
}

// blank leaves the names of variables out.
func blank(p string) string { return regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(p, "*") }
