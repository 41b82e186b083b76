// Package wal is the log: records in one total order, durable before their
// senders are told so.
//
// Records lie in checksummed frames in segments; positions are dense; an acknowledgement waits for fsync; many
// records share one. The log has a bound, is cut behind its readers, gives each of them every record in order, gets over
// damage and tells what it cost, and gets over disks that fail. docs/format/wal.md draws the bytes, ADR 021 says why they are so.
package wal
