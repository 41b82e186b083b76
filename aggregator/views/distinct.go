package views

// A request between two nodes is told of by a client's span, or by a server's that is alone, as far as spans go: together they count
// each once, and so does the graph (topology/figures.go). Where there is no client's span at all, the servers' count each once.

// The witnesses of a hop.
const (
	serverLog = iota
	serverSpan
	clientLog
	clientSpan
	alone
)

func witnessOf(f *facts) int {
	log := f.evidence == "log"
	switch {
	case f.side == "server" && log:
		return serverLog
	case f.side == "server" && f.alone != "":
		return alone
	case f.side == "server":
		return serverSpan
	case log:
		return clientLog
	default:
		return clientSpan
	}
}

// chosen are those of a set of witnesses that count each request once, in the order of sideRank for a server's side.
func chosen(there int) int {
	has := func(w int) bool { return there&(1<<w) != 0 }
	switch {
	case has(serverLog):
		return 1 << serverLog
	case has(clientSpan) && (has(serverSpan) || has(alone) || !has(clientLog)):
		return 1<<clientSpan | 1<<alone
	case has(serverSpan) || has(alone):
		return 1<<serverSpan | 1<<alone
	default:
		return 1 << clientLog
	}
}
