package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// fewTold is how many requests both sides of an edge must tell of, and differently how many they may at most: one in so many. What one side alone tells of,
// as of calls that were given up, is of another kind than the rest.
const (
	fewTold     = 12
	differently = 5
)

// meanTimes is how long the requests of an edge took in a window, to which it has been advanced, as its caller and as its callee tell: by their spans, else by their logs.
func (e *edge) meanTimes(w signal.Window) (t blame.Told) {
	for _, pair := range [...][2]telemetry.Witness{{telemetry.ClientSpan, telemetry.ServerSpan}, {telemetry.ClientLog, telemetry.ServerLog}} {
		caller, callee := e.acc[pair[0]], e.acc[pair[1]]
		if caller == nil || callee == nil {
			continue
		}
		n, m := caller.Requests(w), callee.Requests(w)
		if most := max(n, m); min(n, m) < fewTold || most-min(n, m) > most/differently {
			continue
		}
		return blame.Told{Caller: meanOf(caller, w), Callee: meanOf(callee, w)}
	}
	return t
}

func meanOf(a *signal.Acc, w signal.Window) float64 {
	var d signal.Dist
	a.AddTo(&d, w)
	return d.Mean()
}
