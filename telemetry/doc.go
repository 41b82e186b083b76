// Package telemetry is Binnacle's vocabulary: the words that every other
// package speaks, and nothing else redefines.
//
// The nouns, in the order in which a span meets them:
//
//   - [Batch]: what one sender sent at one moment, decoded from its wire format
//     in one pass. A struct of arrays: spans, requests, attributes and one string
//     table, so that a span costs no allocation of its own.
//   - [Span]: an operation in a distributed trace (OpenTelemetry's trace.proto).
//   - [Request]: one entry of a proxy's request log (Envoy's access log; what
//     Mixer called a report).
//   - [Identity]: which workload a span or request comes from.
//   - [Position], [Entry], [Sink]: the log, and those who follow it. A batch is
//     durable before its sender is told so, and everything derived from it - edge,
//     series, block - is a replayable function of the log.
//   - [Node], [Edge], [Observation]: the service graph's words: one Observation is
//     one request on one edge as one witness saw it; [Observed] is what an entry
//     taught the graph, handed on to the signals.
//
// The package imports the standard library alone. It holds types, contracts,
// validation and formatting, the batch's string table, its one encoding (see
// record.go and docs/format/record.md), and the reading of OpenTelemetry's
// semantic conventions (semconv.go), because all siblings must read a span alike.
package telemetry
