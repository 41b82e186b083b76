package block

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// maxLimit bounds how many traces a search may ask for.
const (
	defaultLimit = 20
	maxLimit     = 1000
)

// query is a SpanQuery made ready.
type query struct {
	telemetry.SpanQuery
	from, to int64 // of the start, to exclusive
	min, max int64 // of the duration, both inclusive
	limit    int
	statuses []string // as the status column writes them; nil asks nothing
	kinds    []string
}

func newQuery(q telemetry.SpanQuery) *query {
	c := &query{
		SpanQuery: q, from: math.MinInt64, to: math.MaxInt64, min: int64(q.MinDuration), max: math.MaxInt64,
		limit: min(q.Limit, maxLimit),
	}
	if c.limit <= 0 {
		c.limit = defaultLimit
	}
	if q.From != 0 {
		c.from = q.From
	}
	if q.To != 0 {
		c.to = q.To
	}
	if q.MaxDuration != 0 {
		c.max = int64(q.MaxDuration)
	}
	if q.Status != "" {
		c.statuses = []string{q.Status}
	}
	if q.Kind != "" {
		c.kinds = []string{q.Kind}
		if q.Kind == telemetry.KindUnspecified.String() {
			c.kinds = append(c.kinds, spanKindNames()[telemetry.KindUnspecified])
		}
	}
	return c
}

// outside says that a block or head cannot hold a span that the query asks for.
func (q *query) outside(m *meta) bool {
	return m.spans == 0 || m.startMax < q.from || m.startMin >= q.to || m.durationMax < q.min || m.durationMin > q.max
}

// valueMatches says that an attribute's value, written as text, is want.
func valueMatches(t telemetry.AttrType, text []byte, bits uint64, want string) bool {
	switch t {
	case telemetry.AttrInt:
		return strconv.FormatInt(int64(bits), 10) == want
	case telemetry.AttrFloat:
		return strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64) == want
	case telemetry.AttrBool:
		return strconv.FormatBool(bits != 0) == want
	case telemetry.AttrBytes:
		return base64.StdEncoding.EncodeToString(text) == want
	default:
		return string(text) == want
	}
}

// jsonMatches looks for an attribute in an object of attributes.
func jsonMatches(object []byte, m telemetry.AttributeMatch) bool {
	found := false
	r := &jsonReader{in: object}
	r.attrs(func(key []byte, t telemetry.AttrType, text []byte, bits uint64) {
		found = found || string(key) == m.Key && valueMatches(t, text, bits, m.Value)
	})
	return found
}

// newest keeps the traces whose matching spans began last.
type newest struct {
	limit int
	at    map[telemetry.TraceID]int64 // start of the trace's last matching span
	floor int64                       // below it a span changes nothing
}

func newNewest(limit int) *newest {
	return &newest{limit: limit, at: map[telemetry.TraceID]int64{}, floor: math.MinInt64}
}

func (n *newest) add(id telemetry.TraceID, start int64) {
	if start < n.floor {
		return
	}
	if have, ok := n.at[id]; ok && have >= start {
		return
	}
	n.at[id] = start
	if len(n.at) >= 4*n.limit+64 {
		n.cut()
	}
}

// found is a trace that matches.
type found struct {
	id    telemetry.TraceID
	start int64
}

// cut leaves the newest, by which the floor rises. A trace that falls out comes back
// where a later span of it turns up.
func (n *newest) cut() []found {
	all := make([]found, 0, len(n.at))
	for id, at := range n.at {
		all = append(all, found{id, at})
	}
	slices.SortFunc(all, func(a, b found) int {
		switch {
		case a.start != b.start:
			if a.start > b.start {
				return -1
			}
			return 1
		default:
			return slices.Compare(a.id[:], b.id[:])
		}
	})
	if len(all) >= n.limit {
		all = all[:n.limit]
		n.floor = all[len(all)-1].start
		clear(n.at)
		for _, f := range all {
			n.at[f.id] = f.start
		}
	}
	return all
}
