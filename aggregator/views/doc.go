// Package views makes the metric names that other tools look for out of
// Binnacle's canonical series, while a query runs.
//
// The problem: dashboards and tools know istio_requests_total, Tempo's service
// graph, the span metrics of two systems; each with classic buckets. To store them
// all would be some two hundred series an edge. Binnacle stores one
// native histogram an edge and witness, and one an operation.
//
// The invariants:
//   - A view never counts a request twice: of the witnesses that report one hop,
//     one is chosen (see metric.rank), by what the hop's series are in the queried
//     range, never by the query's matchers.
//   - Matchers give what they would give on stored series: =, !=, =~, !~, and
//     matchers that accept the empty label. They are applied to the derived labels;
//     before, those that can be said of canonical labels narrow what is read.
//   - What was taken back of a canonical series was never counted (see net.go).
//   - Buckets grow with le, and the one at +Inf is exact.
//   - rate and increase see every request of the canonical series once, and
//     resets of one of several series under a view's labels do not show
//     (see merge.go).
//
// Not chosen: recording rules (they store what can be computed); rewriting the
// PromQL expression (every function would need its own rule; a Queryable sees
// only selectors); serving native histograms alone (unmodified dashboards ask for
// _bucket).
package views
