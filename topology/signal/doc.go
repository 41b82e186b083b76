// Package signal counts requests over sliding windows and sketches how long
// they took, for one witness of one edge of the service graph.
//
// The package is pure: time comes in as a number of ticks of 100 ms, and every
// method is a function of its arguments and of the accumulator. An accumulator
// belongs to one goroutine.
package signal
