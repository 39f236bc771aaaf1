// Package ledger is the public record: an append-only Merkle log of entries,
// and the attachments that entries name. It holds the formats and all that a
// reader needs: decoding entries, verifying receipts, reading and checking a log
// over HTTP or from a directory.
//
// Start here: [NewReader] and [Reader.Tree] read a log, [Receipt.Verify] checks the
// answer to a submission.
//
// A log is laid out as C2SP tlog-tiles says (https://c2sp.org/tlog-tiles) and
// its checkpoints are C2SP signed notes (https://c2sp.org/tlog-checkpoint), so
// any client of those formats can check it; this package uses
// golang.org/x/mod/sumdb for both. Leaves are hashed as RFC 6962 says.
//
// The package trusts a checkpoint only under a log key that its caller names,
// and an entry only when the tree of such a checkpoint contains it. What an
// entry's evidence is worth is not its subject.
//
// Package writer, below this one, writes; only the aggregator has a log open for that.
package ledger
