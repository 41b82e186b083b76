// Package envoyals receives the request logs of Envoy proxies: the gRPC access
// log service, envoy.service.accesslog.v3 (and v2, whose messages have the same
// form), HTTP and TCP entries.
//
// An Envoy never waits for an answer, and drops what it cannot send; so this
// service never stops reading. Messages are decoded as they come, those of several
// streams into one batch (collector.Lane), which is queued for the log; when the queue
// is full it is dropped, and counted.
//
// # Which end of which edge
//
// An entry says what one proxy saw, and does not say on whose behalf. The rules,
// first match wins:
//
//   - The upstream cluster is Istio's inbound|port|| or InboundPassthroughCluster,
//     or a plain name that means the proxy's own workload (its service's name,
//     local_app, local_service, localhost, inbound..., cds_ingress_...): the server's side.
//   - Any other upstream cluster: the client's side, and the cluster names the
//     peer (telemetry.ParseClusterName). Istio's PassthroughCluster and
//     BlackHoleCluster name nobody: the request's authority does.
//   - No upstream cluster: the proxy answered by itself. It did so as server,
//     unless the connection was not TLS, no filter for servers was the reason (rate
//     limit, authorisation) and the request was for somebody else.
//   - A gateway (Istio's router~, or node metadata ROLE: gateway) has one entry
//     for two hops: it is taken as the server of the downstream and as the client of
//     the upstream.
//
// The TLS of an entry is that of the downstream connection; so only the server's
// side tells how its edge is secured.
package envoyals
