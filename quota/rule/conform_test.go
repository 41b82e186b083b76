package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestConform has a file of our own for each thing that envoyproxy/ratelimit's documentation says of its YAML, and for each
// mistake that it refuses. Several files of one load begin with "file NAME".
//
//	load [merge]      reads files, and prints each rule with all that it says, or what is wrong
//	find domain       prints, for each descriptor, the rule, the name of its statistics, and what shares a counter
func TestConform(t *testing.T) {
	t.Parallel()
	var set *Set
	datadriven.RunTest(t, "testdata/conform", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "load":
			loaded, domains, err := Load(split(d.Input), Options{MergeDomains: d.HasArg("merge")})
			if err != nil {
				return "refused: " + err.Error() + "\n"
			}
			set = loaded
			var b strings.Builder
			fmt.Fprintf(&b, "domains: %s\n", strings.Join(domains, " "))
			for _, r := range set.Rules {
				b.WriteString(inFull(t, r) + "\n")
			}
			return b.String()
		case "find":
			var b strings.Builder
			for line := range strings.Lines(d.Input) {
				var m Match
				var scratch []byte
				e := entries(line)
				fmt.Fprintf(&b, "%s -> ", strings.TrimSpace(line))
				if !set.Domain([]byte(d.CmdArgs[0].Key)).Find(e, &m, &scratch) {
					b.WriteString("no rule\n")
					continue
				}
				fmt.Fprintf(&b, "%s, statistics %s", m.Rule.ID, m.MetricKey(e, nil))
				if len(m.Patterns) > 0 {
					fmt.Fprintf(&b, ", shared by %q", m.Patterns)
				}
				b.WriteString("\n")
			}
			return b.String()
		}
		t.Fatalf("no command %q", d.Cmd)
		return ""
	})
}

// split cuts files apart; a single one is rules.yaml.
func split(text string) (files []File) {
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "file "); ok {
			files = append(files, File{Name: strings.TrimSpace(name)})
			continue
		}
		if len(files) == 0 {
			files = append(files, File{Name: "rules.yaml"})
		}
		f := &files[len(files)-1]
		f.Content = append(f.Content, line...)
	}
	return files
}

// inFull is all that a rule says.
func inFull(t *testing.T, r *Rule) string {
	t.Helper()
	said := []string{fmt.Sprintf("%s: %d/%v", r.ID, r.Limit.RequestsPerUnit, r.Limit.Unit)}
	if r.Limit.Unlimited {
		said[0] = r.ID + ": unlimited"
	}
	for _, x := range []struct {
		is   bool
		text string
	}{
		{r.Limit.Name != "", "name=" + r.Limit.Name},
		{len(r.Replaces) > 0, "replaces=" + strings.Join(r.Replaces, "+")},
		{r.Shadow, "shadow"},
		{r.Quota, "quota"},
		{r.Detailed, "detailed"},
		{r.ByValue, "by value"},
	} {
		if x.is {
			said = append(said, x.text)
		}
	}
	if r.Metadata != nil {
		j, err := protojson.Marshal(r.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, "metadata="+strings.ReplaceAll(string(j), " ", "")) // protojson varies its spaces on purpose
	}
	return strings.Join(said, ", ")
}
