// Package wal is the log: records in one total order, durable before their
// senders are told so.
//
// It is a thin group commit over prometheus/tsdb/wlog, which frames records in
// checksummed pages and segments, and has repaired torn tails for years. What is
// added here: positions, the rule that an acknowledgement waits for fsync, a bound on
// the log's size, and cutting the log behind its readers. docs/format/wal.md draws the bytes.
package wal
