// Package arch tests the house itself: which room may import which, that each
// room says what it is, and that its papers are in order.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/binnacle-mesh/binnacle/"

// downhill lists, for each room, the rooms it may import. A room is the longest
// prefix of a package's path that stands here; within a room imports are free.
// This is the picture in ARCHITECTURE.md, and it may only become sparser.
var downhill = map[string]string{
	"telemetry":               "",
	"internal/wire":           "",
	"internal/ask":            "",
	"internal/pb":             "",
	"internal/ledger":         "",
	"internal/clock":          "",
	"internal/watch":          "",
	"internal/pace":           "",
	"internal/door":           "internal/pace",
	"internal/rulefile":       "",
	"internal/disk":           "",
	"internal/failpoint":      "",
	"storage/wal":             "telemetry internal/disk internal/failpoint",
	"storage/checkpoint":      "telemetry internal/disk internal/failpoint",
	"storage/block":           "internal/ask telemetry internal/disk internal/failpoint",
	"storage/journal":         "internal/disk internal/failpoint",
	"storage/series":          "telemetry internal/disk internal/failpoint",
	"collector":               "telemetry internal/wire internal/pb internal/ledger internal/pace",
	"aggregator":              "internal/ask telemetry storage/series internal/ledger internal/failpoint",
	"topology":                "telemetry",
	"quota":                   "telemetry internal/wire internal/pb internal/ledger",
	"ui":                      "",
	"dashboards":              "",
	"docs/operations":         "",
	"internal/query":          "telemetry internal/ledger",
	"internal/connect":        "",
	"internal/api":            "internal/ask telemetry internal/query internal/connect internal/ledger internal/door internal/pace",
	"internal/promql":         "internal/ask internal/ledger",
	"internal/api/prometheus": "internal/ask telemetry aggregator storage/series internal/api internal/promql internal/ledger",
	"internal/config":         "docs/operations telemetry collector aggregator topology quota storage/wal storage/block storage/series internal/api internal/promql internal/rulefile internal/ledger internal/door",
	"internal/demo":           "telemetry",
	"internal/app":            "*",
	"internal/arch":           "",
	"internal/shelf":          "",
	"cmd/binnacle":            "internal/app internal/config internal/demo",
	"test/e2e":                "*",
	"test/findings":           "*",
	"test/load":               "internal/wire internal/pb",
	"test/bench":              "test/load",
	"test/truth":              "",
	"test/crash":              "*",
	"test/exam":               "internal/demo telemetry topology test/subject",
	"test/subject":            "internal/demo",
	"test/attack":             "test/load internal/wire internal/pb",
}

// heavy lists who alone may bring in what is large or opinionated.
var heavy = map[string]string{
	"go.opentelemetry.io/collector/":             "collector/embedded",
	"github.com/open-telemetry/":                 "collector/embedded",
	"github.com/parquet-go/":                     "storage/block",
	"github.com/prometheus/prometheus/tsdb/wlog": "storage/series",
	"github.com/prometheus/prometheus/promql":    "aggregator internal/promql dashboards",
	"github.com/prometheus/prometheus/web":       "internal/api/prometheus",
	"github.com/envoyproxy/go-control-plane/":    "collector quota internal/demo test internal/app",
	"google.golang.org/grpc":                     "collector quota internal/wire internal/app internal/demo test",
	"github.com/spf13/":                          "cmd/binnacle",
	"go.yaml.in/yaml":                            "internal/config quota/rule quota internal/demo",
	"unsafe":                                     "telemetry collector internal/pb",
}

type pkg struct {
	ImportPath, Dir, Name, Doc         string
	Imports, TestImports, XTestImports []string
	GoFiles                            []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Name,Doc,Imports,GoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

// room is the room that a package belongs to.
func room(path string) string {
	for p := path; p != "."; p = filepath.Dir(p) {
		if _, ok := downhill[p]; ok {
			return p
		}
	}
	return ""
}

func under(path, list string) bool {
	for _, p := range strings.Fields(list) {
		if p == "*" || path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

func TestImportsRunDownhill(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		if from == "" {
			t.Errorf("%s: no room for it in the table of this test; put it there with what it may import", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, module); ok {
				if to := room(ours); to != from && !under(ours, downhill[from]) {
					t.Errorf("%s imports %s; %s may import only: %s", p.ImportPath, ours, from, downhill[from])
				}
				continue
			}
			for lib, who := range heavy {
				if strings.HasPrefix(imp, lib) && !under(p.ImportPath, who) {
					t.Errorf("%s imports %s, which is left to: %s", p.ImportPath, imp, who)
				}
			}
		}
	}
}

func TestEachPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// Every file and command that the README names exists.
func TestReadmeIsTrue(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(readme), "`") {
		if i%2 == 0 {
			continue // outside of code
		}
		if target, ok := strings.CutPrefix(part, "make "); ok && !strings.Contains(string(makefile), "\n"+target+":") {
			t.Errorf("README names `make %s`, which the Makefile does not have", target)
		}
		if strings.HasSuffix(part, "/") && !strings.ContainsAny(part, " :*") && !strings.HasPrefix(part, "/") {
			if _, err := os.Stat(filepath.Join(root, part)); err != nil {
				t.Errorf("README names the folder %s: %v", part, err)
			}
		}
	}
}

// Each decision stands in the index, and each that the index names exists.
func TestDecisionsAreListed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "docs", "adr")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "[0-9]*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no decisions in %s: %v", dir, err)
	}
	for _, p := range pages {
		if !strings.Contains(string(index), "("+filepath.Base(p)+")") {
			t.Errorf("the index does not name %s", filepath.Base(p))
		}
	}
	if n := strings.Count(string(index), ".md)"); n != len(pages) {
		t.Errorf("the index names %d decisions, there are %d", n, len(pages))
	}
}

// cores are the packages whose state must be a function of their input (I6).
var cores = []string{"telemetry", "telemetry/analysis", "telemetry/bucket", "telemetry/health", "telemetry/baseline", "telemetry/blame", "topology", "aggregator", "aggregator/views", "quota/window", "quota/rule", "quota/top"}

// A core that asked for the time, for chance or for the disk could not be replayed.
func TestCoresArePure(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, p := range packages(t) {
		if !slices.Contains(cores, p.ImportPath) {
			continue
		}
		for _, imp := range p.Imports {
			if imp == "os" || imp == "math/rand" || imp == "math/rand/v2" || imp == "net" {
				t.Errorf("%s imports %s; a core takes what it needs as an argument", p.ImportPath, imp)
			}
		}
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(root, p.ImportPath, f))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(src), "time.Now(") || strings.Contains(string(src), "time.Since(") {
				t.Errorf("%s/%s asks for the time; take it as an argument", p.ImportPath, f)
			}
		}
	}
}
