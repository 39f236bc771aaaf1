// Package pkgset is about published package sets: the outputs that a channel, an
// image or a release consists of, at a revision. They say against what coverage
// is counted, who maintains what, and which output is built from which.
//
// A set's revision is published by a ledger entry, whose body is an [Entry]. Its
// members are an attachment, because they are many: JSON lines in one canonical
// form ([Encode], [Decode]), so that the same members always have the same
// SHA-256.
//
// Members come from a list of output keys, or from nix-eval-jobs ([Parse]).
// Fixed-output derivations, whose outputs agree trivially, stay in the document,
// because others are built from them; they are not counted as outputs of the set.
//
// The package is pure. It trusts nothing: [Decode] and [ParseEntry] accept only
// what [Encode] and [Entry.Encode] can produce.
package pkgset
