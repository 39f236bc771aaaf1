// Package monitor follows a ledger for weeks, and says when it stops keeping its
// promises.
//
// # Model
//
// A [Monitor] makes rounds. In each it extends a verify.Mirror, which accepts only
// a continuation of what it has; reads some entries that it has already again, as
// they are served now; looks whether the newest entry is too old; and, for a
// builder that gives its reporter's directory, compares that builder's receipts with
// the ledger and checks that its chains of statements have neither forks nor gaps.
//
// # Alerts
//
// An [Alert] is of a [Kind]. Fork and Dropped convict: the log's key signed two
// things that exclude each other, and the proof is kept in a file (ledger.Conviction)
// that anybody can check who knows the key. The others say that something is wrong
// now, and are raised again when it changes: entries as served that are not those of
// the tree that was signed (Rewritten), a state that is older than one already seen
// (Shrunk), no news for too long (Stale), nobody there (Unreachable), a builder's
// statements that do not follow one another (Chain): then another has the key, or
// the spool was copied.
//
// # Trust
//
// The log's key is believed to be the log's, and the reporter's directory to be
// one's own.
package monitor
