// Package crash torments the server. It kills it with SIGKILL under load, at random moments and at chosen instants (internal/failpoint), and
// counts what is left: every acknowledged span in every store, and edge and metric totals equal
// to an oracle's; quotas granted, and none twice. And it has a store stand still, which must cost nobody else anything.
package crash
