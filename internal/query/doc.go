// Package query answers questions about traces and the service graph, in the
// product's own words. It knows no HTTP and no disk: it declares the few readers
// that it needs ([TraceStore], [LiveGraph], [PastGraph]; [TagReader], which a store may be), checks what is asked,
// bounds what an answer may cost, and puts together what the readers give.
//
// internal/api is its only caller today; whatever else is to answer questions (a
// gRPC API, a command) stands beside it and asks the same [Engine].
//
// Everything here is safe for concurrent use. Nothing here asks for the time: a
// range comes with the question.
package query
