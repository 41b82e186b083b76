package binnacle

import (
	"net/http"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	someSuspects = 20
	mostSuspects = 1000
)

// suspects answers who is ill or has changed for the worse, those first who are most likely to be the cause.
func (d *Dialect) suspects(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	limit := p.Number(someSuspects, 1, mostSuspects, "limit")
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	if g := d.deps.Query.Live().Snapshot(); len(g.Edges) >= heavyFrom {
		if err := ask.Of(r.Context()).Heavy(r.Context()); err != nil {
			return api.Answer{}, err
		}
	}
	all := d.deps.Suspects()
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("time").Millisecond(d.now().UnixNano())
	j.Key("found").Int(int64(len(all)))
	jsonout.List(j.Key("suspects"), all[:min(len(all), limit)], writeSuspect)
	j.Close('}')
	return api.JSON(j.B), nil
}

func writeSuspect(j *jsonout.Writer, s *telemetry.Suspect) {
	j.Open('{')
	j.Field("id", s.ID)
	j.Field("name", s.Name)
	j.Key("named").Bool(s.Named)
	j.Field("kind", s.Judgement.Kind.String())
	j.Field("because", s.Judgement.Because)
	j.Field("says", s.Judgement.Says)
	j.Key("score").Signal(s.Judgement.Score)
	if s.Named {
		j.Key("since").Millisecond(s.Judgement.Since)
	}
	j.Close('}')
}
