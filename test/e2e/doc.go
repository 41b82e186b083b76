// Package e2e tests the whole path with real parts: the binnacle binary on one side, the demo mesh with its real Envoys on
// the other, and between them nothing but ports. The tests know of Binnacle what docs/api/http.md says, and no more.
//
// BINNACLE_BIN names the binary to test; without it the tests build one. Without an Envoy (see demo.FindEnvoy) they skip.
package e2e
