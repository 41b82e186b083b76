package binnacle

import (
	"net/http"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// findings answers all that the server noticed: of itself, and why the graph may be wrong.
func (d *Dialect) findings(*http.Request) (api.Answer, error) {
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("time").Int(d.now().UnixMilli())
	all := d.deps.Findings()
	j.Key("findings")
	jsonout.List(&j, all, writeFinding)
	j.Close('}')
	return api.JSON(j.B), nil
}

// writeFindings writes those of a graph, where there are any.
func writeFindings(j *jsonout.Writer, all []telemetry.Finding) {
	if len(all) > 0 {
		j.Key("findings")
		jsonout.List(j, all, writeFinding)
	}
}

func writeFinding(j *jsonout.Writer, f *telemetry.Finding) {
	j.Open('{')
	j.Field("kind", f.Kind)
	j.Field("subject", f.Subject)
	j.Field("severity", f.Severity.String())
	j.Field("says", f.Says)
	j.Key("evidence").Texts(f.Evidence)
	j.Field("remedy", f.Remedy)
	j.Key("since").Int(f.Since.UnixMilli())
	j.Key("nodes").Texts(f.Nodes)
	j.Key("edges").Texts(f.Edges)
	j.Key("count").Uint(f.Count)
	j.Key("loss").Bool(f.Loss)
	j.Close('}')
}

// writeFound writes of what kinds those are that concern a node or an edge, where there are any.
func writeFound(j *jsonout.Writer, kinds []string) {
	if len(kinds) > 0 {
		j.Key("findings").Texts(kinds)
	}
}
