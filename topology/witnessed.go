package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// told is how many requests each witness told of in the last ten seconds and in the last minute, to which the edge has been advanced; met is how many of the
// minute's, without those of the ten seconds, servers' spans told of whose caller's span came as well.
func (e *edge) told() (tenSeconds, minute findings.Seen, met uint64) {
	for slot, a := range e.acc {
		if a == nil {
			continue
		}
		ten, sixty := a.Recent()
		w := slot
		switch slot {
		case aloneSlot:
			w = int(telemetry.ServerSpan)
		case int(telemetry.ServerSpan):
			met = sixty - min(sixty, ten)
		default:
		}
		tenSeconds[w] += ten
		minute[w] += sixty
	}
	return tenSeconds, minute, met
}

func (e *edge) seen(count func(*signal.Acc) uint64) (n findings.Seen) {
	for slot, a := range e.acc {
		if a == nil {
			continue
		}
		if slot == aloneSlot {
			slot = int(telemetry.ServerSpan)
		}
		n[slot] += count(a)
	}
	return n
}
