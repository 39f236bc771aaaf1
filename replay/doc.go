// Package replay computes what an aggregator publishes anew, from the ledger alone:
// every verdict, its whole history, the list of divergences, the counts by day and
// package set, by builder and of all, how operators agree, and the roots of the
// verifiable map. It shares the pure
// packages with the aggregator (attestation, signing, enrolment, divergence,
// outputmap) and none of its code, and needs no database. Package snapshot makes its
// files of the same.
//
// # Model
//
// [Read] goes through the entries in order, opens every one under the keys that
// the ledger's own enrolments name at that place, and sorts what they say of
// outputs into files by the first byte of the attestation.OutputID. Then
// [Replay.Judge] takes one file after the other into memory. An output's history
// depends on its own claims and on the roster alone, so each is judged by itself,
// entry by entry: after each entry that says something of it, and at each
// revocation or change of tier of a builder that does. Counts by day are sums of
// what changed.
//
// So the memory needed is a 256th of what the ledger says of outputs, a few times
// over, some 30 bytes for each statement, to know it again in a later entry, and a
// few for each day, package set revision and enrolment. The files take 81 bytes for each claim, and 28 for the map.
//
// # Comparison
//
// [Fetch] downloads what an aggregator publishes, all of one state of its index,
// and [Compare] names the first difference. How operators agree is published as of an
// earlier entry, which the answer names, and is compared as of there.
//
// Not compared is what an answer takes from statements and package sets as they are
// (names of builds, environments, input edges) and what follows from those edges: a
// divergence's cause. They move no verdict, and everybody finds the statement under
// the ledger index beside it. Neither is what only a builder's own page says, which
// would take a request for each: the verdicts on its outputs, and its streams with
// what is suspicious in them (forks, gaps, copying).
//
// # Erasure
//
// A replay begins with the erasures among the entries to replay, wherever they
// stand: what they took away was never there (enrolment.Erasure).
//
// # Trust
//
// The ledger's tree is what the caller verified (see verify.Mirror). Of the
// aggregator's answers nothing is believed: they are the defendant.
package replay
