// Package params reads the parameters of requests for the dialects of internal/api.
package params

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Params reads the parameters of one request. It remembers the first that
// cannot be read and goes on with zero values, so that a handler reads all it needs
// and asks once for the error. Each method takes the names that a parameter goes
// by; the first that is set counts. Nothing here panics, whatever was sent.
type Params struct {
	values url.Values
	err    error // the first fault
}

// Of reads the query of a URL.
func Of(u *url.URL) *Params {
	v, err := url.ParseQuery(u.RawQuery)
	p := &Params{values: v}
	if err != nil {
		p.Fail("query", "it cannot be read: "+err.Error())
	}
	return p
}

// Err is the first fault, a *query.InvalidError, or nil.
func (p *Params) Err() error { return p.err }

// Fail says that a parameter cannot be read or granted. The first that is said counts.
func (p *Params) Fail(name, reason string) {
	if p.err == nil {
		p.err = &query.InvalidError{Field: name, Reason: reason}
	}
}

// Get is the value of the first name that has one, and that name.
func (p *Params) Get(names ...string) (value, name string) {
	for _, n := range names {
		if v := p.values.Get(n); v != "" {
			return v, n
		}
	}
	return "", names[0]
}

// All is every value of a parameter that may be given more than once.
func (p *Params) All(name string) []string { return p.values[name] }

// Text is a value as it is, "" if none is given.
func (p *Params) Text(names ...string) string {
	v, name := p.Get(names...)
	if len(v) > maxBytes {
		p.Fail(name, fmt.Sprintf("it is longer than %d bytes", maxBytes))
		return ""
	}
	return v
}

// maxBytes is the most bytes of one parameter. No service, operation or
// attribute that was stored is longer.
const maxBytes = 16 << 10

// Number is a whole number from least to most, or otherwise if none is given.
func (p *Params) Number(otherwise, least, most int, names ...string) int {
	v, name := p.Get(names...)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		p.Fail(name, Quote(v)+" is not a whole number")
	case n < least || n > most:
		p.Fail(name, fmt.Sprintf("%s is not between %d and %d", v, least, most))
	default:
		return n
	}
	return otherwise
}

// Duration is a duration as Go writes it: 5ms, 1.5s, 2h30m.
func (p *Params) Duration(otherwise time.Duration, names ...string) time.Duration {
	v, name := p.Get(names...)
	if v == "" {
		return otherwise
	}
	d, err := parseDuration(v)
	if err != nil || d < 0 {
		p.Fail(name, Quote(v)+" is not a duration such as 250us, 5ms, 1.5s or 2h")
		return otherwise
	}
	return d
}

// parseDuration is time.ParseDuration, and knows days: Jaeger's page asks for 2d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > MaxDays {
			return 0, fmt.Errorf("%q is not a number of days", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(s)
}

// MaxLimit is the greatest number that is read; query.Limits says what is granted.
const MaxLimit = 1 << 30

// MaxDays keeps a number of days within what an int64 of nanoseconds holds.
const MaxDays = 100_000

// Moment is a time as RFC 3339 or in Unix milliseconds.
func (p *Params) Moment(otherwise time.Time, names ...string) time.Time {
	return p.when(otherwise, time.Millisecond, true, names...)
}

// Unix is a time as a count of unit since 1970.
func (p *Params) Unix(otherwise time.Time, unit time.Duration, names ...string) time.Time {
	return p.when(otherwise, unit, false, names...)
}

func (p *Params) when(otherwise time.Time, unit time.Duration, alsoText bool, names ...string) time.Time {
	v, name := p.Get(names...)
	if v == "" {
		return otherwise
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/int64(unit) {
			p.Fail(name, v+" is not a time between 1970 and 2262")
			return otherwise
		}
		return time.Unix(0, n*int64(unit))
	}
	if alsoText {
		if t, ok := parseRFC3339(v); ok {
			return t
		}
	}
	if f, err := strconv.ParseFloat(v, 64); err == nil && f >= 0 && f*float64(unit) < math.MaxInt64 {
		return time.Unix(0, int64(f*float64(unit)))
	}
	want := "Unix " + unitNames[unit]
	if alsoText {
		want += " or RFC 3339"
	}
	p.Fail(name, Quote(v)+" is not a time in "+want)
	return otherwise
}

var unitNames = map[time.Duration]string{ //nolint:gochecknoglobals // immutable
	time.Microsecond: "microseconds", time.Millisecond: "milliseconds",
}

// RFC3339 is a time in text alone, as Jaeger's v3 wants it.
func (p *Params) RFC3339(otherwise time.Time, names ...string) time.Time {
	v, name := p.Get(names...)
	if v == "" {
		return otherwise
	}
	t, ok := parseRFC3339(v)
	if !ok {
		p.Fail(name, Quote(v)+" is not a time as RFC 3339 writes it, such as 2026-11-21T01:40:00.5Z")
		return otherwise
	}
	return t
}

// parseRFC3339 reads a time whose plus sign may have been taken for a space:
// Grafana's Jaeger data source does not escape it.
func parseRFC3339(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(s, " ", "+", 1))
	if err != nil || t.Unix() < 0 || t.Unix() > math.MaxInt64/int64(time.Second) {
		return time.Time{}, false
	}
	return t, true
}

// Boolean is a truth value, false if none is given.
func (p *Params) Boolean(names ...string) bool {
	v, name := p.Get(names...)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		p.Fail(name, Quote(v)+" is neither true nor false")
	}
	return b
}

// Search is the search that a form asks for, or what cannot be read of the parameters.
func (p *Params) Search(f query.Form, from, to time.Time, limit int) (telemetry.SpanQuery, error) {
	if p.err != nil {
		return telemetry.SpanQuery{}, p.err
	}
	tree, err := f.Filter()
	return telemetry.SpanQuery{Filter: tree, From: from.UnixNano(), To: to.UnixNano(), Limit: limit}, err
}

// Pairs are attributes as k=v, cut at the first sep.
func (p *Params) Pairs(name, sep string) []query.AttributeMatch {
	var out []query.AttributeMatch
	for _, v := range p.All(name) {
		key, value, ok := strings.Cut(v, sep)
		if !ok || key == "" || len(v) > maxBytes {
			p.Fail(name, Quote(v)+" is not of the form key"+sep+"value")
			return nil
		}
		out = append(out, query.AttributeMatch{Key: key, Value: value})
	}
	return out
}

// JSONMap are attributes as a JSON object, in the order of keys. Values that
// are no strings are taken as they are written.
func (p *Params) JSONMap(names ...string) []query.AttributeMatch {
	var out []query.AttributeMatch
	for _, name := range names {
		for _, v := range p.All(name) {
			if v == "" {
				continue
			}
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(v), &m); err != nil {
				p.Fail(name, Quote(v)+` is not a JSON object such as {"error":"true"}`)
				return nil
			}
			for key, raw := range m {
				var text string
				if json.Unmarshal(raw, &text) != nil {
					text = string(raw)
				}
				out = append(out, query.AttributeMatch{Key: key, Value: text})
			}
		}
	}
	slices.SortFunc(out, func(a, b query.AttributeMatch) int {
		return strings.Compare(a.Key+"\x00"+a.Value, b.Key+"\x00"+b.Value)
	})
	return out
}

// TraceID is an id, which may be shorter than 32 digits.
func (p *Params) TraceID(name, v string) telemetry.TraceID {
	id, err := telemetry.ParseTraceID(v)
	switch {
	case err != nil:
		p.Fail(name, err.Error())
	case id.IsZero():
		p.Fail(name, "the id of zeros names no trace")
	}
	return id
}

// Quote shows a value that was sent, cut where it is long.
func Quote(v string) string {
	const most = 60
	if len(v) > most {
		return strconv.Quote(v[:most]) + "…"
	}
	return strconv.Quote(v)
}
