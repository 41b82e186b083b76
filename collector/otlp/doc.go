// Package otlp receives traces by the OpenTelemetry protocol: gRPC
// (TraceService/Export) and HTTP (POST /v1/traces) with protobuf or JSON bodies, plain
// or compressed by gzip or zstd.
//
// This is the hot path of the whole server, so there is no model between the
// wire and the batch: proto.go and json.go each walk the message once, in place, and
// write what they find into the arrays of a [telemetry.Batch]. A span costs no
// allocation.
//
// Source: OTLP 1.x, github.com/open-telemetry/opentelemetry-proto (trace.proto,
// common.proto, docs/specification.md).
package otlp
