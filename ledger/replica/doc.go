// Package replica keeps checked copies of other people's ledgers: those of a verifier, of a
// monitor, of an aggregator that follows another.
//
// # Model
//
// A [Replica] is a directory that is a whole log at any moment. [Replica.Fetch] proves that
// the log's latest state continues the copy's and writes what is new beside it;
// [Replica.Advance] makes that the copy's state. Between the two its owner can do what has to
// be done before anybody reads the new state.
//
// # Trust
//
// Nothing is written that is not proven to be in a tree that the log's key signed, and that
// the witnesses which are asked for cosigned. A log that shows another history than before is
// convicted by its own two signatures, which are kept, and nothing of it is taken in.
package replica
