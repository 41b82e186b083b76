// Package pair remembers the halves of hops for as long as their other halves
// may still come: a table by (trace id, span id), bounded and without pointers.
//
// It knows nothing of services or edges. A table belongs to one goroutine.
package pair
