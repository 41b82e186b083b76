// Package filter is the language in which a search says which spans it is for, as a tree of values: and, or, not, over
// conditions on the fields of a span. Whoever has a question (a dialect's parameters, a form, later a parser)
// builds a tree; whoever has spans (a store, a test) reads it. The package knows neither: it imports the
// standard library alone, and telemetry says what a span's fields hold.
//
// # What a tree says
//
// A field of a span has no value, one, or several. A span has one duration; it has no code where none is known; an
// attribute may come twice, and stands in any of several scopes (its [Field] says in which); a span with
// three events has three event names. What is not known has no value: an empty text, the kind of a peer that
// nobody named, code -1. An attribute whose value is an empty text has that value.
//
// A condition compares a literal with those values of the field that are of its type; others count as not there.
// It is
//
//   - true, where it holds of at least one value;
//   - false, where there are values to compare and it holds of none;
//   - unknown, where there is no value to compare.
//
// not, and, or are Kleene's: not unknown is unknown; false and unknown is false; true or unknown is true. A filter holds of
// the spans of which it is true. So neither `span.a = "x"` nor `not span.a = "x"` (which is what != is short for) finds a span
// without the attribute, and `not exists span.a` does: [Exists] is true or false, never unknown.
//
// # Literals
//
// A [Text] compares with texts, a number ([Int], [Float]) with numbers, exactly and across both types, and so on for each
// type. A literal made by [Written] compares with a value of any type, written as text: integers in decimal, floating point as short as
// it may be, bytes in base64, arrays and maps as their JSON. That is what those need whose own values are all texts, such as
// Jaeger's tags. A regular expression ([Matches]) is RE2 and must match the whole text, as in PromQL and TraceQL; a dot
// matches a newline too.
//
// # Bounds
//
// Trees come from outside. [Filter.Validate] refuses more than [MaxConditions] conditions, trees deeper than [MaxDepth],
// long texts and costly expressions, each with what to do about it. Nothing else here checks and nothing panics, but on a tree that
// was not validated it may take long.
//
// # What is not here
//
// A filter is asked of one span (and of its trace as a whole, by the trace: fields). Relations between spans (a child of, a
// descendant of) combine sets of spans, each of which a filter finds: they belong beside the filter in telemetry.SpanQuery, as a tree
// whose leaves are filters, and to the step of the store that looks at whole traces (storage/block, verify.go), which already
// has all spans of a candidate at hand. They are not a [Form] of this tree.
package filter
