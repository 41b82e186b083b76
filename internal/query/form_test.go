package query_test

import (
	"errors"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
)

func TestFormIsATree(t *testing.T) {
	t.Parallel()
	whole := query.Form{
		Service: "cart", Namespace: "shop", Operation: "GET /cart", Kind: "server", Status: "error",
		Attributes: []query.AttributeMatch{{Key: "a", Value: "b=c"}, {Key: "d e", Value: ""}}, MinDuration: 5 * time.Millisecond, MaxDuration: time.Second,
	}
	for want, f := range map[string]query.Form{
		"true": {},
		`resource:service = "cart" and resource:namespace = "shop" and span:name = "GET /cart" and span:kind = "server" and span:status = "error"` +
			` and span:duration >= 5ms and span:duration <= 1s and text(.a) = "b=c" and text(."d e") = ""`: whole,
		`resource:service = "unknown_service" or not exists resource:service`: {Service: query.UnknownService},
	} {
		got, err := f.Filter()
		if err != nil || got.String() != want || got.Validate() != nil {
			t.Errorf("%+v is %s, want %s (%v, %v)", f, got, want, err, got.Validate())
		}
	}
}

// TestFormsAreChecked: a fault is named by the parameter that has it.
func TestFormsAreChecked(t *testing.T) {
	t.Parallel()
	for field, f := range map[string]query.Form{
		"attribute":    {Attributes: make([]query.AttributeMatch, 33)},
		"max_duration": {MinDuration: 2, MaxDuration: 1},
		"min_duration": {MinDuration: -1},
		"status":       {Status: "bad"},
		"kind":         {Kind: "SERVER"},
	} {
		_, err := f.Filter()
		var invalid *query.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
