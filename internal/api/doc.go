// Package api is the web port: HTTP over internal/query, in several tongues. docs/api/http.md
// is its contract, and a test holds the two to each other.
//
//   - /api/v1: Binnacle's own: the graph (graph.go), its stream (stream.go, hub.go), traces
//     (traces.go), services, quotas and status (inventory.go);
//   - /api and /api/v3: Jaeger's two query APIs (jaeger_*.go), so that Grafana's Jaeger
//     data source and the Jaeger UI need no change;
//   - the paths of Prometheus' query API, which go to Prometheus' own handler;
//   - operating (operating.go), and everything else the web view (web.go).
//
// How a request goes: host check, panic guard and headers (serve.go), the route's
// timeout, its place among the few that may search at once, and its measuring (route.go),
// the handler, the answer as one run of bytes (answer.go). A handler reads its
// parameters with one [params], which remembers the first fault, so that handlers have
// no error path a parameter. All JSON of size is appended by hand (json.go): an answer of
// 10,000 spans costs no allocation a span and no reflection.
//
// # Who may ask
//
// The port is open to whoever reaches it, and listens on loopback unless it is configured
// otherwise. A page of another site, open in a browser on the same machine, must not read it
// though. Therefore there is no CORS header at all (Grafana asks from its server), a request
// whose Host is a name that anyone could register is refused (DNS rebinding; see host.go),
// and a request that a browser says comes from another site may read at most, never change.
package api
