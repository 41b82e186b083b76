package block

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// columnOf is the column of a file of spans, and the number in a head, that a fact is kept in; 0 for those that are kept in several or
// in none.
func columnOf(f filter.Fact) int {
	switch f {
	case filter.Name:
		return colName
	case filter.Kind:
		return colKind
	case filter.Status:
		return colStatus
	case filter.StatusMessage:
		return colStatusMessage
	case filter.TraceState:
		return colTraceState
	case filter.Duration:
		return colDuration
	case filter.Start:
		return colStart
	case filter.TraceID:
		return colTraceID
	case filter.SpanID:
		return colSpanID
	case filter.Protocol:
		return colProtocol
	case filter.Outcome:
		return colOutcome
	case filter.Code:
		return colCode
	case filter.Peer:
		return colPeer
	case filter.PeerNamespace:
		return colPeerNamespace
	case filter.PeerSystem:
		return colPeerSystem
	case filter.PeerKind:
		return colPeerKind
	case filter.Upstream:
		return colUpstreamCluster
	case filter.Cluster, filter.Namespace, filter.Workload, filter.Service, filter.App, filter.Version, filter.Instance, filter.Principal:
		return colCluster + int(f-filter.Cluster) // both in the order of telemetry.Identity
	case filter.ScopeName:
		return colScopeName
	case filter.ScopeVersion:
		return colScopeVersion
	case filter.EventName, filter.EventTime:
		return colEvents
	case filter.LinkTraceID, filter.LinkSpanID:
		return colLinks
	default:
		return 0
	}
}

// enumName is how a filter names value n of an enum's column, "" where it is not known.
func enumName(col int, names []string, n int) string {
	if n < 0 || n >= len(names) {
		n = 0 // a name that this version does not know counts as the first
	}
	switch {
	case col == colKind:
		return telemetry.SpanKind(n).String()
	case n == 0 && (col == colProtocol || col == colPeerKind):
		return ""
	default:
		return names[n]
	}
}

// word is the verdict on value n of an enum's column.
func (l *leaf) word(col int, names []string, n int) filter.Verdict {
	return l.known([]byte(enumName(col, names, n)))
}

// known is the verdict on a text that is not known where it is empty.
func (l *leaf) known(text []byte) filter.Verdict {
	if len(text) == 0 {
		return filter.NoValue
	}
	return l.text(text)
}

// words is the verdicts on all values of an enum.
func (l *leaf) words(col int, names []string) []filter.Verdict {
	out := make([]filter.Verdict, len(names))
	for n := range names {
		out[n] = l.word(col, names, n)
	}
	return out
}

// wordsOf is the verdicts on texts that name values of an enum.
func (l *leaf) wordsOf(col int, names []string) func(text []byte) filter.Verdict {
	verdicts := l.words(col, names)
	return func(text []byte) filter.Verdict {
		return verdicts[max(0, slices.Index(names, string(text)))]
	}
}

// most is the greatest of the verdicts that make up a sum.
func most(sum filter.Verdict) filter.Verdict {
	switch {
	case sum&filter.Holds != 0:
		return filter.Holds
	case sum&filter.Misses != 0:
		return filter.Misses
	default:
		return filter.NoValue
	}
}
