package rule

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestExtension: what is ours in a rule's metadata is taken out of it, and checked.
func TestExtension(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string]string{
		"":                                       " unset",
		"{a: 1}":                                 "a unset",
		"{a: 1, binnacle: {}}":                   "a unset",
		"{binnacle: {on_counter_failure: deny}}": " deny",
		"{a: 1, binnacle: {on_counter_failure: local}}":     "a local",
		"{binnacle: {on_counter_failure: never}}":           "f:4: a: metadata.binnacle.on_counter_failure is not known, or its value is not; write",
		"{binnacle: {on_counter_failure: [deny]}}":          "metadata.binnacle.on_counter_failure is not known",
		"{binnacle: {other: 1, on_counter_failure: allow}}": "metadata.binnacle.other is not known",
		"{binnacle: deny}": "metadata.binnacle is not a map",
	} {
		set, _, err := Load([]File{{"f", []byte("domain: d\ndescriptors:\n\n- {key: a, rate_limit: {unit: day}, metadata: " + metadata + "}\n")}}, Options{})
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", metadata, err, want)
			}
			continue
		}
		r := set.Rules[0]
		word := r.OnFailure.String()
		if r.OnFailure == FallbackUnset {
			word = "unset"
		}
		if got := strings.Join(slices.Sorted(maps.Keys(r.Metadata.GetFields())), " ") + " " + word; got != want {
			t.Errorf("%s: got %q, want %q", metadata, got, want)
		}
	}
}
