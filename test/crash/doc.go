// Package crash torments the server. It kills it with SIGKILL at random moments under load and
// counts what is left: every acknowledged span in every store, and edge and metric totals equal
// to an oracle's. And it has a store stand still, which must cost nobody else anything.
package crash
