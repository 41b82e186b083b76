// Package failpoint names the instants at which a crash is most likely to find a mistake: between writing and syncing, before and after
// a rename. A server that is built with the tag failpoints can be told to kill itself at one of them; in any other Here is empty.
//
//	go build -tags failpoints ./cmd/binnacle
//	BINNACLE_FAILPOINT=checkpoint/renamed:3 ./binnacle serve …    # SIGKILL at the third passing
package failpoint

// Points are all there are; each is passed by the function that its name says.
func Points() []string {
	return []string{
		CheckpointTaken, CheckpointWritten, CheckpointRenamed, CheckpointDropped,
		BlockBegun, BlockWritten, BlockRenamed, BlockPublished,
		LogWritten, LogSynced, LogSegment, LogCut,
		SeriesFlush, SeriesCommit, SeriesCommitted, SeriesCutting, SeriesCut, SeriesCompacted,
		JournalWritten, JournalSynced, JournalRename, JournalRenamed,
	}
}

// The points, by what has just been done.
const (
	CheckpointTaken   = "checkpoint/taken"   // in memory
	CheckpointWritten = "checkpoint/written" // and synced, under another name
	CheckpointRenamed = "checkpoint/renamed"
	CheckpointDropped = "checkpoint/dropped" // an older one was removed
	BlockBegun        = "block/begun"        // its folder is there, under another name
	BlockWritten      = "block/written"      // and its files are synced
	BlockRenamed      = "block/renamed"
	BlockPublished    = "block/published" // the log need not be kept for it any more
	LogWritten        = "log/written"     // not synced: nobody was told
	LogSynced         = "log/synced"      // nobody was told yet
	LogSegment        = "log/segment"     // a new file was begun
	LogCut            = "log/cut"         // a file was removed
	SeriesFlush       = "series/flush"    // about to hand samples to the TSDB
	SeriesCommit      = "series/commit"   // about to commit them
	SeriesCommitted   = "series/committed"
	SeriesCutting     = "series/cutting"   // a block of samples is begun, under another name
	SeriesCut         = "series/cut"       // it is there, and its samples are still in memory and in their log
	SeriesCompacted   = "series/compacted" // one block was made of several, which are still there
	JournalWritten    = "journal/written"  // not synced
	JournalSynced     = "journal/synced"
	JournalRename     = "journal/rename" // a new file is synced, under another name
	JournalRenamed    = "journal/renamed"
)
