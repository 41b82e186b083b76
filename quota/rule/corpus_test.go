package rule

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// corpus returns envoyproxy/ratelimit's own rule files, by name. They are not in this repository; ok is false where they are not
// beside it. TestConform has our own.
func corpus(t testing.TB) (files map[string][]byte, ok bool) {
	t.Helper()
	all, ok := shelf.Others(t, shelf.PeerConfigs, func(name string) bool { return path.Base(path.Dir(name)) == "ratelimit-configs" })
	if ok && len(all) == 0 {
		t.Fatal("the shelf has no ratelimit-configs")
	}
	files = map[string][]byte{}
	for name, body := range all {
		files[path.Base(name)] = body
	}
	return files, ok
}

// TestCorpus: each file of the original loads, or fails for the reason for which the original refuses it.
func TestCorpus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		files string
		merge bool
		want  string // of the error; empty where the files load
		rules int
	}{
		{files: "basic_config.yaml", rules: 10},
		{files: "config.yaml", rules: 2},
		{files: "example.yaml", rules: 17},
		{files: "shadowmode_config.yaml", rules: 4},
		{files: "share_threshold.yaml", rules: 13},
		{files: "wildcard.yaml", rules: 6},
		{files: "metadata.yaml", rules: 3},
		{files: "merge_domain_key1.yaml", rules: 1},
		{files: "merge_domain_key2.yaml", rules: 1},
		{files: "duplicate_domain.yaml", rules: 0},
		{files: "merge_domain_key1.yaml merge_domain_key2.yaml", merge: true, rules: 2},
		{
			files: "merge_domain_key1.yaml merge_domain_key2.yaml",
			want:  `merge_domain_key2.yaml:2: domain "test-domain" is already in file merge_domain_key1.yaml; put both into one file, or allow merging (merge_domains)`,
		},
		{
			files: "basic_config.yaml duplicate_domain.yaml",
			want:  `duplicate_domain.yaml:1: domain "test-domain" is already in file basic_config.yaml; put both into one file, or allow merging (merge_domains)`,
		},
		{
			files: "bad_limit_unit.yaml",
			want:  `bad_limit_unit.yaml:6: key1=value1: unit "foo" is not known; use second, minute, hour, day, week, month (30 days) or year (365 days)`,
		},
		{
			files: "bad_yaml.yaml",
			want:  `bad_yaml.yaml: not valid YAML: line 2: found unexpected end of stream; correct the file; a YAML checker shows the place`,
		},
		{
			files: "duplicate_key.yaml",
			want:  `duplicate_key.yaml:6: key1=value1: the descriptor stands twice at this level; remove one, or give it another value`,
		},
		{
			files: "empty_domain.yaml",
			want:  `empty_domain.yaml:1: the file has no domain; write domain: <name> at the top, the name that proxies send`,
		},
		{files: "empty_key.yaml", want: `empty_key.yaml:3: a descriptor has no key; give it a key`},
		{files: "misspelled_key.yaml", want: `misspelled_key.yaml:5: key "ratelimit" is not known; did you mean rate_limit?`},
		{files: "misspelled_key2.yaml", want: `misspelled_key2.yaml:7: key "requestsperunit" is not known; did you mean requests_per_unit?`},
		{files: "non_map_list.yaml", want: `non_map_list.yaml:3: an element of descriptors is not a map; write each element as a map (- key: …)`},
		{files: "non_string_key.yaml", want: `non_string_key.yaml:1: key "0.25" is not a string; use one of the known keys`},
		{
			files: "replaces_empty.yaml",
			want:  `replaces_empty.yaml:11: key1=value1 / subkey1: an entry of replaces has no name; write replaces: [{name: <name of a rate_limit>}]`,
		},
		{
			files: "replaces_self.yaml",
			want:  `replaces_self.yaml:11: key1=value1 / subkey1: the rate limit replaces itself ("self"); remove that entry`,
		},
		{
			files: "unlimited_with_unit.yaml",
			want:  `unlimited_with_unit.yaml:6: foo: an unlimited rate limit has a unit, "day"; remove unit, or remove unlimited`,
		},
	}
	content, ok := corpus(t)
	if !ok {
		return
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		var files []File
		for name := range strings.FieldsSeq(tt.files) {
			seen[name] = true
			files = append(files, File{name, content[name]})
		}
		set, _, err := Load(files, Options{MergeDomains: tt.merge})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.files, diff)
			continue
		}
		if err == nil && len(set.Rules) != tt.rules {
			t.Errorf("%s: %d rules, want %d", tt.files, len(set.Rules), tt.rules)
		}
	}
	for name := range content {
		if !seen[name] {
			t.Errorf("%s of the corpus has no line in this table", name)
		}
	}
}
