// Package writer is the ledger's one writer: it puts entries into a log of the
// layout that package ledger reads, signs checkpoints, and proves what it wrote.
// Start with [Open]; [Check] and [Repair] are for a log that does not open.
//
// # Model
//
// Appending is group commit: entries that arrive while a batch is being written
// wait for the next one, so batches grow under load. An append is answered when
// its entry is on disk and part of the tree; a checkpoint is published at an
// interval, and a receipt waits for one.
//
// Each batch gets one time of receipt, never earlier than that of the batch
// before, and the next batch begins when the last is in the tree. So the times
// never decrease in the order of the log, whatever the order within a batch, the
// machine's clock and restarts do. A clock that is far from the last entry is not
// believed, see [ClockError].
//
// The right edge of the tree is in memory, and new tiles are made from that alone.
// The directory is read once, at the start, see recover.go: nothing is signed before
// state, entries, tiles and the published checkpoint are proven to be one history.
//
// # Trouble
//
// A disk that fails, a clock that jumps, or a panic while a checkpoint is signed end
// neither the process nor the log: appends fail with ledger.ErrUnavailable,
// [Log.Trouble] says why, and the log goes on by itself when that has ended. A batch
// that failed halfway is in no tree that is signed.
//
// # Trust
//
// A log has one writer, which holds a lock on the directory. It trusts the memory of
// its process, the key, and SHA-256; the files only as far as they hash to a root
// that the key signed, or that the writer's own state has.
//
// Witnesses are asked by Tessera (https://github.com/transparency-dev/tessera), which
// only this package imports. Its POSIX driver is not used: it trusts the files that
// it appends to, begins an empty log where its state is missing, and panics in a
// goroutine of its own where it cannot open a lock.
package writer
