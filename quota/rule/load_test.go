package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestCorners(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/corners", func(t *testing.T, d *datadriven.TestData) string {
		set, _, err := Load([]File{{"f.yaml", []byte(d.Input)}}, Options{})
		if err != nil {
			return fmt.Sprintf("refused: %v\n", err)
		}
		var rules []string
		for _, r := range set.Rules {
			s := fmt.Sprintf("%s %d/%v", r.ID, r.Limit.RequestsPerUnit, r.Limit.Unit)
			if r.Limit.Unlimited {
				s = r.ID + " unlimited"
			}
			if r.Shadow {
				s += " shadow"
			}
			if r.Metadata != nil {
				j, err := protojson.Marshal(r.Metadata)
				if err != nil {
					t.Fatal(err)
				}
				s += " metadata=" + strings.ReplaceAll(string(j), " ", "") // protojson varies its spaces on purpose
			}
			rules = append(rules, s)
		}
		return strings.TrimRight("ok: "+strings.Join(rules, ", "), " ") + "\n"
	})
}

func entries(pairs string) []Entry {
	var list []Entry
	for pair := range strings.FieldsSeq(pairs) {
		k, v, _ := strings.Cut(pair, "=")
		list = append(list, Entry{[]byte(k), []byte(v)})
	}
	return list
}

// TestFind: which rule of the original's sample files applies to a descriptor, and under which name it is counted.
func TestFind(t *testing.T) {
	t.Parallel()
	content, ok := corpus(t)
	if !ok {
		return
	}
	for _, tt := range []struct{ file, domain, entries, rule, patterns, metric string }{
		{"basic_config.yaml", "test-domain", "key1=value1 subkey1=other", "test-domain/key1_value1/subkey1", "", "key1_value1.subkey1"},
		{"basic_config.yaml", "test-domain", "key1=value1 subkey1=subvalue1", "test-domain/key1_value1/subkey1_subvalue1", "", "key1_value1.subkey1_subvalue1"},
		{"basic_config.yaml", "test-domain", "key1=value1", "", "", ""},
		{"basic_config.yaml", "test-domain", "key1=other subkey1=x", "", "", ""},
		{"basic_config.yaml", "test-domain", "key2=any", "test-domain/key2", "", "key2"},
		{"basic_config.yaml", "test-domain", "key2", "test-domain/key2", "", "key2"},
		{"basic_config.yaml", "test-domain", "key2=value2", "test-domain/key2_value2", "", "key2_value2"},
		{"basic_config.yaml", "test-domain", "key2=value3", "", "", ""},
		{"basic_config.yaml", "test-domain", "key5=value5", "test-domain/key5_value5", "", "key5_value5"},
		{"basic_config.yaml", "test-domain", "key5=value5 subkey5=subvalue5", "test-domain/key5_value5/subkey5_subvalue5", "", "key5_value5.subkey5_subvalue5"},
		{"basic_config.yaml", "test-domain", "key5=value5 subkey5=x", "", "", ""},
		{"basic_config.yaml", "test-domain", "key2=x deeper=y", "", "", ""},
		{"basic_config.yaml", "test-domain", "key7=x", "test-domain/key7", "", "key7_x"},
		{"basic_config.yaml", "other-domain", "key2=x", "", "", ""},
		{"basic_config.yaml", "test-domain", "", "", "", ""},
		{"wildcard.yaml", "test-domain", "wild=foo", "test-domain/wild_foo*", "", "wild_foo*"},
		{"wildcard.yaml", "test-domain", "wild=foobar", "test-domain/wild_foo*", "", "wild_foo*"},
		{"wildcard.yaml", "test-domain", "wild=fo", "", "", ""},
		{"wildcard.yaml", "test-domain", "noWild=foobar", "", "", ""},
		{"wildcard.yaml", "test-domain", "midWild=barb", "test-domain/midWild_bar*b", "", "midWild_bar*b"},
		{"wildcard.yaml", "test-domain", "midWild=bar-x-b", "test-domain/midWild_bar*b", "", "midWild_bar*b"},
		{"wildcard.yaml", "test-domain", "midWild=bab", "", "", ""},
		{"wildcard.yaml", "test-domain", "multiWild=foo1bar2baz", "test-domain/multiWild_foo*bar*baz", "", "multiWild_foo*bar*baz"},
		{"wildcard.yaml", "test-domain", "multiWild=foobaz", "", "", ""},
		{"wildcard.yaml", "test-domain", "multiWild=foobarba", "", "", ""},
		{"wildcard.yaml", "test-domain", "nestedWild=val1 wild=goober", "test-domain/nestedWild_val1/wild_goo*", "", "nestedWild_val1.wild_goo*"},
		{"share_threshold.yaml", "test-domain", "files=files/a.pdf", "test-domain/files_files/*", "files/*", "files_files/*"},
		{"share_threshold.yaml", "test-domain", "files=top/1 files=nested/2", "test-domain/files_top/*/files_nested/*", "top/*,nested/*", "files_top/*.files_nested/*"},
		{"share_threshold.yaml", "test-domain", "nested=parent files=nested/x", "test-domain/nested_parent/files_nested/*", ",nested/*", "nested_parent.files_nested/*"},
		{"share_threshold.yaml", "test-domain", "route=api/v1 method=GET", "test-domain/route_api/*/method", "api/*,", "route_api/*.method"},
		{"share_threshold.yaml", "test-domain", "service=svc/a endpoint=/x", "test-domain/service_svc/*/endpoint", "svc/*,", "service_svc/*.endpoint_/x"},
		{"share_threshold.yaml", "test-domain", "path=path/1 file=file/2 type=t", "test-domain/path_path/*/file_file/*/type", "path/*,,", "path_path/*.file_file/*.type"},
		{"share_threshold.yaml", "test-domain", "file=test1", "test-domain/file_test1", "", "file_test1"},
		{"share_threshold.yaml", "test-domain", "file=test2", "test-domain/file_test*", "test*", "file_test*"},
		{"share_threshold.yaml", "test-domain", "midpath=/api/x/v1", "test-domain/midpath_/api*v1", "/api*v1", "midpath_/api*v1"},
	} {
		set, _, err := Load([]File{{tt.file, content[tt.file]}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var m Match
		var scratch []byte
		e := entries(tt.entries)
		rule, metric := "", ""
		if set.Domain([]byte(tt.domain)).Find(e, &m, &scratch) {
			rule, metric = m.Rule.ID, string(m.MetricKey(e, nil))
		}
		got := []string{rule, strings.Join(m.Patterns, ","), metric}
		if rule == "" {
			got[1] = ""
		}
		if diff := cmp.Diff([]string{tt.rule, tt.patterns, tt.metric}, got); diff != "" {
			t.Errorf("%s: %s %s (-want +got):\n%s", tt.file, tt.domain, tt.entries, diff)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	set, _, err := Load([]File{{"f", []byte(`
domain: d
descriptors:
- key: tenant
  descriptors:
  - {key: path, value: "/api/*/x*", share_threshold: true, rate_limit: {unit: day}}
`)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	domain, e := []byte("d"), entries("tenant=acme path=/api/v1/xyz")
	var m Match
	var scratch []byte
	if n := testing.AllocsPerRun(100, func() {
		if !set.Domain(domain).Find(e, &m, &scratch) {
			t.Fatal("no rule found")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzLoad: no file ends the server, and what loads can be matched.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("domain: d\ndescriptors:\n- key: a\n  value: x*y\n  share_threshold: true\n  rate_limit: {unit: day, requests_per_unit: 3}\n"))
	f.Add([]byte("domain: d\ndescriptors: &x\n- {key: a, descriptors: *x, <<: *x}\n"))
	f.Add([]byte("'''"))
	f.Add([]byte("domain: d\ndescriptors:\n- {key: a, metadata: {a: &b [1, *b]}, rate_limit: {unlimited: true, replaces: [{name: q}]}}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, _, err := Load([]File{{"f", content}}, Options{})
		if err != nil {
			if set != nil || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("error %q beside a set", err)
			}
			return
		}
		var m Match
		var scratch []byte
		for _, r := range set.Rules {
			var e []Entry
			for _, p := range r.Path {
				k, v, _ := strings.Cut(p, "_")
				e = append(e, Entry{[]byte(k), []byte(v)})
			}
			d := set.Domain([]byte(r.Domain))
			if d == nil {
				t.Fatalf("rule %s has a domain that is not in the set", r.ID)
			}
			if d.Find(e, &m, &scratch) {
				m.MetricKey(e, nil)
			}
		}
	})
}
