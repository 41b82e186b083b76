package telemetry

import "time"

// A Finding is something that a room noticed of its own accord and that an operator should know: who floods a table with names, what
// was lost to a damaged file, why nothing is taken at present. It ends by no longer being found.
type Finding struct {
	Kind    string    // what it is, for machines: names_flood, log_unwritable
	Subject string    // whom or what it is about: a service, a connection, a file
	Says    string    // a sentence with its figures
	Remedy  string    // a sentence: what to do about it
	Count   uint64    // how many: names, records, bytes; 0 where there is nothing to count
	Since   time.Time // when it was first seen
	Loss    bool      // something is lost, and not only late or in a sum
}
