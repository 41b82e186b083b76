//go:build race

package rls_test

// raceDetector is on: sync.Pool then drops what is put into it at random, and allocations cannot be counted.
const raceDetector = true
