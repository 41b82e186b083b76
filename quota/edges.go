package quota

import (
	"strings"
	"time"
)

// ThrottledEdge is a pair of services between which a rule has refused requests in the last minute.
type ThrottledEdge struct {
	Source, Destination string  // as the descriptors name them; one may be empty
	Rule                string  // its identifier
	Rate                float64 // refused decisions a second, exponentially weighted over a minute
}

// ThrottledEdges returns where requests are being refused, most first, at most Config.MaxEdges.
func (e *Engine) ThrottledEdges(now time.Time) []ThrottledEdge {
	ranked := e.edges.Top(e.maxEdges, seconds(now))
	list := make([]ThrottledEdge, 0, len(ranked))
	for _, r := range ranked {
		source, rest := cutText([]byte(r.Label))
		destination, id := cutText(rest)
		list = append(list, ThrottledEdge{Source: valid(source), Destination: valid(destination), Rule: valid(id), Rate: r.Rate})
	}
	return list
}

// valid makes a client's bytes fit for JSON and labels.
func valid(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
