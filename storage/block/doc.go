// Package block is the trace store: spans and requests in memory while they are
// new, and in Parquet files after.
//
// [Store] is a [telemetry.Sink]. The newest entries make the head (head.go, headput.go, rowtable.go); a full
// or old head is sealed: a fresh one takes over, and the old one, still
// searchable, is written as a block by one goroutine (seal.go, column.go, pagebytes.go, pagewriter.go,
// filewriter.go). A block is a directory named by the first and last position of
// the log that it holds, with spans.parquet and requests.parquet in it, sorted by
// trace id; docs/format/block.md draws them. A directory takes its name only
// when its files are on disk, so a crash leaves the old state or the new.
//
// Everything up to [Store.Applied] is in blocks, and the log may forget it.
//
// Readers ([Store.Trace], [Store.Search], [Store.Services]) see the heads and the
// blocks as they were at one moment: the change from head to block is one step.
package block
