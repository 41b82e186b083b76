// Package identity says which workload a message comes from.
//
// The same workload is named differently by each of its parts: by its own SDK in
// OpenTelemetry's resource attributes, by its proxy's tracer with a service name in
// Istio's form, by its proxy's access log in Envoy's node, by its certificate in a
// SPIFFE id. All must yield the same service and namespace, or the graph would
// show one service as two.
//
// The service is, in this order: Istio's canonical name where it is said (proxies
// say it in spans and in node metadata alike), the configured service name,
// without ".namespace" behind it, the workload's name. The namespace is the
// Kubernetes one where it is said, since hosts, clusters and certificates name
// peers by that; else service.namespace.
package identity
