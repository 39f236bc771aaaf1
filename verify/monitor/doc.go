// Package monitor follows a ledger for weeks, and says when it stops keeping its
// promises.
//
// # Model
//
// A [Monitor] makes rounds. In each it extends a verify.Mirror, which accepts only
// a continuation of what it has; reads some entries that it has already again, as
// they are served now; computes the map roots to which the ledger commits, and the
// builder list; looks whether the newest state is too old; and, for a builder that
// gives its reporter's directory, compares that builder's receipts with the ledger,
// checks that its chains of statements have neither forks nor gaps, and that no
// revocation takes statements away that it had made before.
//
// # Alerts
//
// An [Alert] is of a [Kind]. Fork and Dropped convict: the log's key signed two
// things that exclude each other, and the proof is kept in a file (ledger.Conviction)
// that anybody can check who knows the key. MapRoot convicts for whoever has a copy of
// the ledger: an entry commits to a map that leaves something out, and its receipt is
// kept. The others say that something is wrong
// now, and are raised again when it changes: entries as served that are not those of
// the tree that was signed (Rewritten), a state that is older than one already seen
// (Shrunk), no news for too long (Stale), no answer (Unreachable), a builder's
// statements that do not follow one another (Chain): then another has the key, or
// the spool was copied; or a revocation that reaches back (Revoked).
//
// Newer is no finding: the ledger has an entry of a kind, or by a version of the rules,
// that this program does not know (package reading). What comes before it is audited as
// ever. Map roots from there on wait, and a newer program audits them from the same
// state.
//
// # Trust
//
// The log's key is believed to be the log's, and the reporter's directory to be
// one's own.
package monitor
