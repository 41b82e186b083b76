package block

import (
	"cmp"
	"math"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

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

// compare puts the newest first.
func (f found) compare(g found) int {
	return cmp.Or(cmp.Compare(g.start, f.start), slices.Compare(f.id[:], g.id[:]))
}

// cut leaves the newest, by which the floor rises. A trace that falls out comes back
// where a later span of it turns up.
func (n *newest) cut() []found {
	all := make([]found, 0, len(n.at))
	for id, at := range n.at {
		all = append(all, found{id, at})
	}
	slices.SortFunc(all, found.compare)
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
