package aggregator

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// fill gives every field that is a string or a number a value other than zero, so
// that a field which is added is not forgotten here.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Uint8:
		v.SetUint(1)
	default:
	}
}

// A series has the labels that the vocabulary lists, and no other: whoever adds a
// field to an edge or an operation must name it there, and in the API's papers.
func TestSeriesHaveTheLabelsOfTheVocabulary(t *testing.T) {
	t.Parallel()
	var e telemetry.Edge
	fill(reflect.ValueOf(&e).Elem())
	op := operationKey{service: "x", namespace: "x", version: "x", name: "x"}
	papers, err := os.ReadFile("../docs/api/http.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.FieldsFunc(string(papers), func(r rune) bool { return strings.ContainsRune(" `\n|,.", r) })
	f := func(metric string, want []string, got labels.Labels) {
		t.Helper()
		var names []string
		got.Range(func(l labels.Label) { names = append(names, l.Name) })
		if !slices.IsSorted(want) || !slices.Equal(names, append([]string{labels.MetricName}, want...)) || got.Get(labels.MetricName) != metric {
			t.Errorf("%s has the labels %v, the vocabulary lists %v", metric, names, want)
		}
		for _, name := range append(want, metric, canonical.Overflow+`="true"`) {
			if !slices.Contains(words, name) {
				t.Errorf("docs/api/http.md does not name %s", name)
			}
		}
	}
	f(canonical.Edge, canonical.EdgeLabels(), edgeLabels(&e, variant{alone: true, flags: telemetry.FlagRateLimited, tls: telemetry.TLSMutual}))
	f(canonical.Operation, canonical.OperationLabels(), op.labels())
}
