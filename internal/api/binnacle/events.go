package binnacle

import (
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	// eventRange is how far back events are told unless a range is asked for.
	eventRange = 24 * time.Hour
	someEvents = 200
	mostTold   = 10_000
	eventBytes = 700 // about what one takes in an answer
)

// events answers what happened in the graph, the latest first.
func (d *Dialect) events(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	to := p.Moment(d.now(), "to")
	from := p.Moment(to.Add(-eventRange), "from")
	limit := p.Number(someEvents, 1, mostTold, "limit")
	service := p.Text("service")
	kinds := kindsOf(p)
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	all, err := d.deps.Query.Events(from, to)
	if err != nil {
		return api.Answer{}, err
	}
	list := slices.DeleteFunc(all.List, func(e telemetry.GraphEvent) bool {
		return !kinds[e.Kind] || service != "" && e.Service != service && !slices.Contains(e.Nodes, service)
	})
	found := len(list)
	list = list[:min(found, limit)]
	if err := ask.Of(r.Context()).Take(int64(len(list)) * eventBytes); err != nil {
		return api.Answer{}, err
	}
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("from").Millisecond(from.UnixNano())
	j.Key("to").Millisecond(to.UnixNano())
	j.Key("known_since").Millisecond(all.Since)
	j.Key("found").Int(int64(found))
	jsonout.List(j.Key("events"), list, writeEventObject)
	j.Close('}')
	return api.JSON(j.B), nil
}

// kindsOf are the kinds that are asked for, all of them where none is named.
func kindsOf(p *params.Params) (kinds [telemetry.EventKinds]bool) {
	some := false
	for _, list := range p.All("kind") {
		for name := range strings.SplitSeq(list, ",") {
			if name == "" {
				continue
			}
			some = true
			known := false
			for k := range telemetry.EventKind(telemetry.EventKinds) {
				if k.String() == name {
					kinds[k], known = true, true
				}
			}
			if !known {
				p.Fail("kind", params.Quote(name)+" is none of "+eventKinds())
			}
		}
	}
	if !some {
		for k := range kinds {
			kinds[k] = true
		}
	}
	return kinds
}

func eventKinds() string {
	var names []string
	for k := range telemetry.EventKind(telemetry.EventKinds) {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

func writeEventObject(j *jsonout.Writer, e *telemetry.GraphEvent) {
	j.Open('{')
	j.Field("id", hex.EncodeToString(binary.BigEndian.AppendUint64(nil, e.ID())))
	j.Key("time").Millisecond(e.At)
	j.Field("kind", e.Kind.String())
	j.Field("service", e.Service)
	j.Key("nodes").Texts(e.Nodes)
	j.Key("edges").Texts(e.Edges)
	j.Field("says", e.Says)
	j.Key("evidence").Texts(e.Evidence)
	if e.TraceID != (telemetry.TraceID{}) {
		j.Key("trace_id").Hex(e.TraceID[:])
	}
	switch e.Kind {
	case telemetry.EventVersion:
		j.Field("version", e.Version)
	case telemetry.EventCulprit, telemetry.EventHealth:
		j.Field("health", e.Health.String())
		j.Field("ailment", e.Ailment.String())
		j.Field("because", e.Because)
	case telemetry.EventFinding:
		j.Field("finding", e.Finding)
		j.Key("ended").Bool(e.Ended)
	default:
	}
	j.Close('}')
}

// appendEvents writes a stream's event that tells what has just happened.
func appendEvents(b []byte, version uint64, list []telemetry.GraphEvent) []byte {
	j := jsonout.Writer{B: appendEvent(b, "events", version)}
	j.Open('{')
	jsonout.List(j.Key("events"), list, writeEventObject)
	j.Close('}')
	return append(j.B, "\n\n"...)
}
