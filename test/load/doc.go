// Package load makes what a mesh sends, for the programs that measure and torment Binnacle: spans over OTLP, Envoy's access
// logs, and quota questions. What it sends is encoded beforehand, and only what must differ from one message to the next is
// written over it, so that the sender takes little of the processors that it shares with what it measures.
//
// The same seed sends the same: two servers, or one today and one tomorrow, get the same work.
//
// The package also has the floors: a gRPC server that throws away what it gets, which is the least that any server costs.
package load
