// Package append is the ledger's one writer: it puts entries into a log of the
// layout that package ledger reads, signs checkpoints, and proves what it wrote.
//
// Appending is group commit: entries that arrive while a batch is being written
// wait for the next one, so batches grow under load. An append is answered when
// its entry is on disk and part of the tree; a checkpoint is published at an
// interval, and a receipt waits for one.
//
// Each batch gets one time of receipt, never earlier than that of the batch
// before, and the next batch begins when the last is in the tree. So the times
// never decrease in the order of the log, whatever the order within a batch, the
// machine's clock and restarts do.
//
// A log has one writer, which holds a lock on the directory. What it trusts is
// that directory: the tiles and entries there are its own.
//
// Tiles are written by Tessera's POSIX driver
// (https://github.com/transparency-dev/tessera), which only this package
// imports.
package append
