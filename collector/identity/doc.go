// Package identity says which workload a message comes from.
//
// The same workload introduces itself in several tongues: its own SDK by
// OpenTelemetry's resource attributes, its proxy's tracer by a service name in
// Istio's form, its proxy's access log by Envoy's node, its certificate by a
// SPIFFE id. All must yield the same service and namespace, or the graph would
// show one service as two.
//
// The service is, in this order: Istio's canonical name where it is said (proxies
// say it in spans and in node metadata alike), the configured service name,
// without ".namespace" behind it, the workload's name. The namespace is the
// Kubernetes one where it is said, since hosts, clusters and certificates name
// peers by that; else service.namespace.
package identity
