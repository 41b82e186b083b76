package views

import (
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// unread are the labels that no view shows.
var unread = []string{canonical.SourceSystem, canonical.DestinationSystem, canonical.Version}

// The views read every label of the vocabulary that they do not say they leave.
func TestFactsHoldTheVocabulary(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{canonical.EdgeLabels(), canonical.OperationLabels(), {canonical.Overflow}} {
		for _, name := range list {
			read := factsOf(labels.FromStrings(name, "x")) != (facts{})
			if left := slices.Contains(unread, name); read == left {
				t.Errorf("%s: read %v, said to be left %v", name, read, left)
			}
		}
	}
}
