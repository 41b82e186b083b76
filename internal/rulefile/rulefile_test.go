package rulefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/rulefile"
)

// tree makes files below a new directory: content by name, a content of "-> x" being a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRead(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"one/b.yaml": "b", "one/a.yml": "a", "one/.hidden.yaml": "no", "one/c.txt": "c", "one/sub.yaml/x.yaml": "no",
		"map/..2026/rules.yaml": "mapped", "map/..data": "-> ..2026", "map/rules.yaml": "-> ..data/rules.yaml",
		"map/dead.yaml": "-> nowhere", "odd/[x].yaml": "odd", "empty/readme": "",
	})
	for name, tt := range map[string]struct{ names, want []string }{
		"nothing":                 {nil, nil},
		"a file of any name":      {[]string{"one/c.txt"}, []string{"one/c.txt c"}},
		"a directory":             {[]string{"one"}, []string{"one/a.yml a", "one/b.yaml b"}},
		"a ConfigMap":             {[]string{"map"}, []string{"map/rules.yaml mapped"}},
		"an empty directory":      {[]string{"empty"}, nil},
		"a pattern":               {[]string{"one/*"}, []string{"one/a.yml a", "one/b.yaml b", "one/c.txt c"}},
		"a pattern for folders":   {[]string{"*/*.yaml"}, []string{"map/rules.yaml mapped", "odd/[x].yaml odd", "one/b.yaml b"}},
		"a name like a pattern":   {[]string{"odd/[x].yaml"}, []string{"odd/[x].yaml odd"}},
		"in order, and each once": {[]string{"one/b.yaml", "one"}, []string{"one/b.yaml b", "one/a.yml a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var names []string
			for _, n := range tt.names {
				names = append(names, filepath.Join(root, n))
			}
			files, err := rulefile.Read(names)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				rel, err := filepath.Rel(root, f.Name)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rel+" "+string(f.Content))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.yaml": "a"})
	huge := filepath.Join(root, "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 16<<20+1); err != nil { // a sparse file
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"absent.yaml": "no such file", "*.json": "nothing matches", "[": "close its brackets", "huge.yaml": "larger than 16 MiB",
	} {
		if _, err := rulefile.Read([]string{filepath.Join(root, name)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]int{}
	for i, files := range [][]rulefile.File{
		nil,
		{{Name: "a", Content: []byte("b")}},
		{{Name: "ab"}},
		{{Name: "a", Content: []byte("b")}, {Name: "", Content: nil}},
		{{Name: "a", Content: []byte("c")}},
	} {
		d := rulefile.Digest(files)
		if j, ok := seen[d]; ok {
			t.Errorf("sets %d and %d have one digest", i, j)
		}
		seen[d] = i
		if d != rulefile.Digest(files) {
			t.Errorf("set %d has two digests", i)
		}
	}
}
