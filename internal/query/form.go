package query

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// A Form is what the search pages that people know let them fill in: Jaeger's, Zipkin's, ours. It holds of a span of which all
// that is set is true; a field that is empty asks nothing.
type Form struct {
	Service     string // UnknownService asks for spans whose sender did not say
	Namespace   string
	Operation   string // the span's name
	Kind        string
	Attributes  []AttributeMatch
	MinDuration time.Duration
	MaxDuration time.Duration
	Status      string
}

// An AttributeMatch asks that a span or its resource has an attribute of this key whose value, written as text, is Value.
type AttributeMatch struct{ Key, Value string }

// Filter is the form as a tree. An error is an *InvalidError that names the field as our own API does.
func (f Form) Filter() (filter.Filter, error) {
	switch {
	case f.MinDuration < 0 || f.MaxDuration < 0:
		return filter.Filter{}, &InvalidError{"min_duration", "a duration is not negative"}
	case f.MaxDuration > 0 && f.MaxDuration < f.MinDuration:
		return filter.Filter{}, &InvalidError{"max_duration", fmt.Sprintf("%s is less than the least duration, %s", f.MaxDuration, f.MinDuration)}
	}
	if err := oneOf("status", f.Status, filter.Status); err != nil {
		return filter.Filter{}, err
	}
	if err := oneOf("kind", f.Kind, filter.Kind); err != nil {
		return filter.Filter{}, err
	}
	if len(f.Attributes) > filter.MaxConditions/2 {
		return filter.Filter{}, &InvalidError{"attribute", fmt.Sprintf("%d attributes are asked for, at most %d may be", len(f.Attributes), filter.MaxConditions/2)}
	}
	parts := []filter.Filter{
		ServiceIs(f.Service), factIs(filter.Namespace, f.Namespace), factIs(filter.Name, f.Operation),
		factIs(filter.Kind, f.Kind), factIs(filter.Status, f.Status), DurationBetween(f.MinDuration, f.MaxDuration),
	}
	for _, a := range f.Attributes {
		parts = append(parts, a.Filter())
	}
	return filter.All(parts...).Simplify(), nil
}

// oneOf refuses what is none of the words that a fact may be.
func oneOf(field, value string, f filter.Fact) error {
	if value == "" || slices.Contains(f.Words(), value) {
		return nil
	}
	return &InvalidError{field, fmt.Sprintf("%q is none of %s", value, strings.Join(f.Words(), ", "))}
}

// factIs asks that a fact is this text; nothing where it is "".
func factIs(f filter.Fact, text string) filter.Filter {
	if text == "" {
		return filter.Everything()
	}
	return filter.Is(f.Field(), filter.Text(text))
}

// ServiceIs asks for the spans of a service, by the name that Trace.Service gives; "" asks nothing.
func ServiceIs(name string) filter.Filter {
	is := factIs(filter.Service, name)
	if name == UnknownService {
		is = filter.Any(is, filter.Negate(filter.Exists(filter.Service.Field())))
	}
	return is
}

// DurationBetween asks for spans that took at least least and at most most; 0 asks nothing.
func DurationBetween(least, most time.Duration) filter.Filter {
	f := filter.Everything()
	if least > 0 {
		f = filter.Compare(filter.Duration.Field(), filter.GreaterEqual, filter.Elapsed(least))
	}
	if most > 0 {
		f = filter.All(f, filter.Compare(filter.Duration.Field(), filter.LessEqual, filter.Elapsed(most)))
	}
	return f
}

// Filter is the match as a tree.
func (a AttributeMatch) Filter() filter.Filter {
	return filter.Is(filter.Attribute(filter.InSpanOrResource, a.Key), filter.Written(a.Value))
}
