package rule

import (
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
)

// Fallback is what a decision is when the counter that it needs cannot be reached.
type Fallback uint8

// The fallbacks.
const (
	FallbackUnset Fallback = iota // of a rule: as the configuration has it
	FallbackError                 // the request gets an error, and its proxy's failure_mode_deny decides
	FallbackAllow                 // it passes this rule
	FallbackDeny                  // this rule refuses it
	FallbackLocal                 // it is counted in this process alone
)

var fallbacks = []string{"", "error", "allow", "deny", "local"} //nolint:gochecknoglobals // immutable, by Fallback

// ParseFallback reads error, allow, deny or local.
func ParseFallback(s string) (Fallback, bool) {
	i := slices.Index(fallbacks, s)
	return Fallback(max(i, 0)), i > 0
}

// String returns the word that ParseFallback reads.
func (f Fallback) String() string { return fallbacks[f] }

// ours is the key in a descriptor's metadata under which a rule says what envoyproxy/ratelimit has no key for. The original
// refuses a file with any key of ours elsewhere; metadata may hold anything, so that a file still serves both.
const ours = "binnacle"

// extension reads what metadata says under our key and returns the metadata without it, which is what proxies get to see.
func (l *loader) extension(d *descriptor, where string) (Fallback, *structpb.Struct) {
	mine := d.metadata.GetFields()[ours]
	if mine == nil {
		return FallbackUnset, d.metadata
	}
	f := FallbackUnset
	for key, v := range mine.GetStructValue().GetFields() {
		known := key == "on_counter_failure"
		if known {
			f, known = ParseFallback(v.GetStringValue())
		}
		if !known {
			l.fail(d.line, where, "write metadata: {binnacle: {on_counter_failure: error, allow, deny or local}}",
				"metadata.binnacle.%s is not known, or its value is not", key)
		}
	}
	if mine.GetStructValue() == nil {
		l.fail(d.line, where, "write metadata: {binnacle: {on_counter_failure: allow}}", "metadata.binnacle is not a map")
	}
	rest := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
	for key, v := range d.metadata.Fields {
		if key != ours {
			rest.Fields[key] = v
		}
	}
	if len(rest.Fields) == 0 {
		rest = nil
	}
	return f, rest
}
