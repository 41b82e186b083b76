// Package quota decides whether a request may pass, by rules written in envoyproxy/ratelimit's YAML, and knows afterwards who
// was refused and by which rule.
//
// Parts, each in a package of its own and each a pure function of its arguments, time included:
//
//	quota/rule    rule files and the tree in which a descriptor finds its rule
//	quota/window  exact counters for fixed windows of time
//	quota/top     who was refused most, who uses most
//	quota/rls     Envoy's rate limit service, protobuf decoded and encoded by hand
//
// This package joins them. [Engine.Decide] is the one decision procedure, whatever protocol asks. It takes three steps, each a file:
// match.go, count.go (over a [Counter], which may fail) and settle.go. [Engine.Prepare] takes changed rules in. [Engine.Status] is
// GET /api/v1/quotas and looks at counters through an [Inspector]. The engine is also a prometheus.Collector. It knows nothing of
// files: whoever runs it reads them, and gives it a [Journal].
//
// Invariants:
//   - No more is admitted in a window than the limit (I8): package window.
//   - Rules are one immutable generation behind an atomic pointer. A decision reads the pointer once; a reload never makes it wait.
//   - A reload is all or nothing, over other rooms too: everything is prepared, then committed. Where anything is wrong, the old
//     generation stays and Status says why.
//   - Counters of use belong to what is limited (domain, entries, window), not to a rule, so that they outlive a reload, as they do
//     in envoyproxy/ratelimit's Redis. Statistics belong to a rule's place in the tree and outlive a reload too.
//   - Whatever a client's descriptors can multiply is bounded: counters (Config.MaxKeys), series (Config.MaxDetailedSeries), pairs
//     of services (Config.MaxEdges), names of limited keys (a constant per rule); binnacle_quota_dropped_total counts by reason.
//   - What was used outlives the process: saving.go says what may be forgotten. Windows go by a clock of our own, which is never set back:
//     clock.go.
//   - A decision takes one lock after the other, for each descriptor that of its counter's shard; where one is refused also that of
//     the rule's list of refused keys. They are leaves: nothing else is locked while one is held.
package quota
