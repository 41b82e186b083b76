package telemetry

import "errors"

// Position is a record's number in the log. The first record is 1; 0 is
// before all.
type Position uint64

// An Entry is a record of the log as a sink gets it.
type Entry struct {
	Position Position
	// Batch is borrowed for the call (I3). Other followers may be reading it at the same time.
	Batch *Batch
	// Record is the batch's encoding, the very bytes in the log, borrowed like the
	// batch; DecodeRecord reads it.
	Record []byte
}

// A Sink follows the log.
//
// Consume is called for each entry in the order of positions, by one
// goroutine at a time. The sink applies the entry to its state and takes the
// position as applied; an entry at or below the applied position must be left
// out, so that a replay which begins too early changes nothing (I2). The
// log's time is Batch.Received: a sink does not ask the wall's clock (I6).
//
// An error means that the sink's state can no longer be trusted to be a
// function of the log, and ends the process; bad data is not an error.
type Sink interface {
	Consume(Entry) error
}

// Errors by which the path of a batch refuses it. The receivers turn them
// into their protocol's own words.
var (
	// ErrOverloaded: no room now (memory, log or rate); the sender should retry
	// after a while. gRPC RESOURCE_EXHAUSTED with RetryInfo, HTTP 429 with Retry-After.
	ErrOverloaded = errors.New("overloaded, retry later")
	// ErrClosed: the server is stopping. gRPC UNAVAILABLE, HTTP 503.
	ErrClosed = errors.New("shutting down")
)
