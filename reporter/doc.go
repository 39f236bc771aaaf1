// Package reporter is a builder's side of the network: what a volunteer's
// machine runs.
//
// A [Home] is the directory of one installation: configuration, key, spool, the
// pinned key of the aggregator's log, and the filters of the chosen package
// sets. Builds get into its spool by package collect, from a hook or a command,
// without a network. A [Runner] takes them from there: it leaves out what is in
// no chosen set, signs the rest in batches, submits it, and lets go of a
// statement only when a verified receipt proves that the log has it.
//
// The package trusts its own directory. Of the aggregator it trusts the log key
// on first contact, unless the volunteer gave it, and the filters, which can
// only keep things from being sent that the volunteer agreed to send.
package reporter
