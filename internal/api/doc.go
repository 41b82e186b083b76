// Package api is the web port: the host of query APIs. docs/api/http.md is its contract, and a test
// holds the two to each other.
//
// Each query API is a [Dialect], a package below this one that owns its paths, its errors and its
// encoding: binnacle (ours), jaeger/legacy and jaeger/v3, prometheus. internal/app lists them (web.go); one
// that is added there is served. What they share stands beside them: params reads parameters, jsonout
// writes JSON, otlpjson is the one mapping of a trace to OTLP. Two dialects that claim one path are told
// apart by configuration, or refused (dialect.go). The host's own are operating (operating.go), and the web view
// for everything else (web.go).
//
// How a request goes: who may ask (host.go), headers and the panic guard (serve.go), the route's timeout, its
// turn among the few that may search at once, and its measuring (route.go), the dialect's handler, and the
// answer as one run of bytes (answer.go), or an error in the dialect's form (errors.go).
//
// # Who may ask
//
// The port is open to whoever reaches it, and listens on loopback unless it is configured
// otherwise. A page of another site, open in a browser on the same machine, must not read it
// though. Therefore there is no CORS header at all (Grafana asks from its server), a request
// whose Host is a name that anyone could register is refused (DNS rebinding; see host.go),
// and a request that a browser says comes from another site may read at most, never change.
package api
