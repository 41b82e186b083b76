// Package crash kills the server with SIGKILL at random moments under load and
// counts what is left: every acknowledged span, and edge and metric totals equal
// to an oracle's.
package crash
