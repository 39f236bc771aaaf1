// Package reports keeps what builders say of outputs that diverge: manifests, which list
// what is in a build, file by file (package manifest). They show where builds differ.
//
// # Model
//
// A manifest is taken from a builder whose claim of the same digest counts, while the output
// diverges: what a stranger can have kept is bounded by what the ledger holds already. The
// first of a builder for a digest stays. One that nothing asks for any more, since the output
// does not diverge or the claim does not count, is swept away after some weeks.
//
// Reports are files below one directory, by output, digest and builder. They are no evidence,
// move no verdict, and can be handed in again: they are in no ledger, index or backup.
//
// # Trust
//
// A signature is checked before anything is kept, and what a manifest lists is its builder's
// word.
package reports
