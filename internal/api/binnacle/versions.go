package binnacle

import (
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// versionRange is how far back versions are compared unless a range is asked for.
const versionRange = 5 * time.Minute

// versions answers what came to a node, by the version that answered: whether one of them is slow, or fails. It is always asked of the series, since
// the live graph has edges between services and not between their versions.
func (d *Dialect) versions(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	to := p.Moment(d.now(), "to")
	from := p.Moment(to.Add(-versionRange), "from")
	node := p.Text("node")
	limit := p.Number(someAnalysed, 1, mostAnalysed, "limit")
	if node == "" {
		p.Fail("node", "it is missing: the id of a node, such as shop/cart")
	}
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	split, err := d.deps.Query.Versions(r.Context(), node, from, to)
	if err != nil {
		return api.Answer{}, err
	}
	return api.JSON(appendVersions(nil, node, from, to, &split, limit)), nil
}

func appendVersions(b []byte, node string, from, to time.Time, split *telemetry.VersionSplit, limit int) []byte {
	all := 0.0
	for i := range split.Versions {
		all += split.Versions[i].Signals.Rate
	}
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Field("node", node)
	j.Key("from").Millisecond(from.UnixNano())
	j.Key("to").Millisecond(to.UnixNano())
	j.Key("found").Int(int64(len(split.Versions)))
	jsonout.List(j.Key("versions"), split.Versions[:min(limit, len(split.Versions))], func(j *jsonout.Writer, v *telemetry.VersionTraffic) {
		j.Open('{')
		j.Field("version", v.Version)
		j.Key("share").Signal(v.Signals.Rate / all)
		writeTotals(j.Key("totals"), &v.Totals)
		writeSignals(j.Key("signals"), &v.Signals)
		j.Close('}')
	})
	writeIncomplete(&j, split.Incomplete)
	j.Close('}')
	return j.B
}
