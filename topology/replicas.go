package topology

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
)

// replica is one that reports as a service, by one kind of evidence.
type replica struct {
	hash        uint64 // of its name
	name        string // cut
	evidence    telemetry.Evidence
	first, last int64
	reports     uint64 // its batches after the service had sent base: 64 at most
	base, half  uint64 // how many the service had sent when they began to count, and when half of the most had come
	at          uint64 // and when its last came
	second      bool   // it sent no spans while requests were logged twice
}

const (
	maxReplicas  = 64 // of a service, by both kinds of evidence; further ones are not watched
	mostReports  = 64
	maxReplica   = 64               // bytes of a name
	replicaFades = int64(20 * 60e9) // after which silence it is forgotten
)

// report notes a batch of a replica.
func (k *noticed) report(evidence telemetry.Evidence, instance string, now int64) {
	k.reports[evidence]++
	if instance == "" {
		return
	}
	hash := xxhash.Sum64String(instance)
	var r *replica
	for i := range k.replicas {
		if o := &k.replicas[i]; o.hash == hash && o.evidence == evidence {
			r = o
			break
		}
	}
	if r == nil {
		if r = k.newReplica(now); r == nil {
			return
		}
		if len(instance) > maxReplica {
			instance = instance[:maxReplica]
		}
		*r = replica{hash: hash, name: strings.ToValidUTF8(strings.Clone(instance), ""), evidence: evidence, first: now, base: k.reports[evidence] - 1}
	}
	r.last, r.at = now, k.reports[evidence]
	switch r.reports++; r.reports {
	case mostReports / 2:
		r.half = r.at
	case mostReports:
		r.reports, r.base, r.half = mostReports/2, r.half, r.at
	}
}

// newReplica is room for one more: that of one which came for a moment only, where there is none.
func (k *noticed) newReplica(now int64) *replica {
	if len(k.replicas) < maxReplicas {
		k.replicas = append(k.replicas, replica{})
		return &k.replicas[len(k.replicas)-1]
	}
	for i := range k.replicas {
		if r := &k.replicas[i]; r.reports < 3 && now-r.last > 5e9 {
			return r
		}
	}
	return nil
}

// fadeReplicas forgets those that have been silent for long.
func (k *noticed) fadeReplicas(now int64) {
	kept := k.replicas[:0]
	for i := range k.replicas {
		if now-k.replicas[i].last < replicaFades {
			kept = append(kept, k.replicas[i])
		}
	}
	k.replicas = kept
}

// secondReplicas notes, while requests are logged twice, who may be the second to log them: who sends no spans.
func (k *noticed) secondReplicas() {
	for i := range k.replicas {
		r := &k.replicas[i]
		r.second = r.evidence == telemetry.EvidenceLog && !slices.ContainsFunc(k.replicas, func(o replica) bool {
			return o.hash == r.hash && o.evidence == telemetry.EvidenceSpan
		})
	}
}

// appendReplicas gives them as findings wants them.
func (k *noticed) appendReplicas(to []findings.Replica) []findings.Replica {
	for i := range k.replicas {
		r := &k.replicas[i]
		to = append(to, findings.Replica{
			Name: r.name, Spans: r.evidence == telemetry.EvidenceSpan, First: r.first, Last: r.last,
			Reports: r.reports, All: r.at - r.base, Since: k.reports[r.evidence] - r.at, Second: r.second,
		})
	}
	return to
}
