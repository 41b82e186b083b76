// Package embedded runs an OpenTelemetry Collector inside the server, for all
// that Binnacle does not receive by code of its own.
//
// Unless configured otherwise it receives Zipkin (9411) and Jaeger (gRPC 14250,
// Thrift over HTTP 14268) on loopback. What the user writes under the key
// collector: is the standard configuration of a Collector (receivers, processors,
// exporters, extensions, service) and is put together with the built-in one; see
// merge.go for how.
//
// Every pipeline ends in an exporter of the type binnacle, which puts traces
// through the same decoder, limits and log as the server's own OTLP receiver.
package embedded
