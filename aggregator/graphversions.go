package aggregator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Traffic by version.
//
// What comes to a node in a range is divided by the version that answered. The parts add up to what [GraphReader.Graph] shows of the node for the same range: of
// each inbound edge those series count that the edge shows, and no other witness'. A request whose witness could not tell the
// version is a part of its own, with the version "".

// An ofVersion is what one version of a node has of an inbound edge.
type ofVersion struct {
	edge    *drawnEdge
	version string
}

// parts are what the witnesses saw, and what is in none of them.
type parts struct {
	witnesses [telemetry.Witnesses]seen
	alone     seen
}

// Versions is what came to the node of that id from from (inclusive) to to (exclusive), by version, the most requests first; nothing where nothing
// came. It belongs to the caller. Costs and errors are as those of Graph.
func (r *GraphReader) Versions(ctx context.Context, node string, from, to time.Time) (telemetry.VersionSplit, error) {
	if !to.After(from) {
		return telemetry.VersionSplit{}, fmt.Errorf("versions from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), errRange)
	}
	start, end := from.UnixMilli(), to.UnixMilli()-1
	bill := newGraphBill(ctx)
	d := newDrawing(to.Sub(from).Seconds(), r.health.Load())
	split := map[ofVersion]*parts{}
	into := func(ls labels.Labels) bool { return nodeOf(ls, &destinationEnd).ID() == node }
	err := r.increases(ctx, bill, d, start, end, into, func(ls labels.Labels, inc increase) error {
		d.add(ls, inc)
		key := ofVersion{d.edgeOf(ls), ls.Get(canonical.DestinationVersion)}
		p := split[key]
		if p == nil {
			p = &parts{}
			split[key] = p
		}
		s := &p.alone
		if !aloneIn(ls) {
			s = &p.witnesses[witnessOf(ls)]
		}
		counted := seenOf(ls, inc)
		s.add(&counted)
		return bill.sum(inc.hist, d)
	})
	if err != nil {
		return telemetry.VersionSplit{}, err
	}
	for _, e := range d.edges {
		e.choose()
	}
	versions := map[string]*seen{}
	keys := make([]ofVersion, 0, len(split))
	for key := range split {
		keys = append(keys, key)
	}
	// In the order of the edges: sums of floats depend on it.
	slices.SortFunc(keys, func(a, b ofVersion) int { return strings.Compare(a.edge.id, b.edge.id) })
	for _, key := range keys {
		v := versions[key.version]
		if v == nil {
			v = &seen{}
			versions[key.version] = v
		}
		p := split[key]
		v.add(&p.witnesses[key.edge.best])
		if key.edge.best.Evidence() == telemetry.EvidenceSpan {
			v.add(&p.alone)
		}
	}
	return d.versionSplit(versions), nil
}

func (d *drawing) versionSplit(versions map[string]*seen) telemetry.VersionSplit {
	out := telemetry.VersionSplit{Incomplete: d.damaged}
	for version, s := range versions {
		if s.requests == 0 {
			continue
		}
		out.Versions = append(out.Versions, telemetry.VersionTraffic{
			Version: version, Signals: d.signals(s),
			Totals: telemetry.Totals{Requests: whole(s.requests), Errors: whole(s.errors), Throttled: whole(s.throttled)},
		})
	}
	slices.SortFunc(out.Versions, func(a, b telemetry.VersionTraffic) int {
		return cmp.Or(cmp.Compare(b.Totals.Requests, a.Totals.Requests), strings.Compare(a.Version, b.Version))
	})
	return out
}
