// Package outputmap is the verifiable map: from an output to the ledger indices
// of all entries that are about it. A reader that asks for one output gets a short
// proof that a list is complete (or that there is nothing to list) in place of a
// copy of the whole ledger.
//
// # Model
//
// The map of a size N is a pure function of the ledger's entries 0 … N-1. Each
// entry is about some keys, see [Keys]: the [attestation.OutputID] of outputs, or
// [RosterKey], under which all enrolments, revocations, erasures and versions of the rules are. A leaf of the map
// is a key and its indices:
//
//	key (20 bytes) | first index | difference to the next | …
//
// the numbers as unsigned LEB128 of the least length (Go's uvarint). Indices
// ascend, every key with an index has exactly one leaf, and leaves ascend by key.
// Over them in this order is a Merkle tree as RFC 6962 defines it. [Root] is its
// commitment, and the body of a ledger entry of kind ledger.MapRoot.
//
// A key's presence is proven by the audit path of its leaf; its absence by those
// of two leaves that are neighbours and enclose it, or by that of the first or the
// last leaf beyond which it lies. See [Proof].
//
// # What an entry is about
//
// An entry is about the outputs that it names, whether or not it counts: of an
// attestation the payload is read and no signature checked. So the map depends on
// no key and no earlier entry, what is listed as ignored today can be looked at
// when a key turns out to be revoked or enrolled, and an aggregator cannot hide an
// entry by finding fault with it. A failed build is about a recipe and moves no
// verdict: it is in no list. Package sets name their members in attachments and
// move no verdict of an output that was built: neither are they.
//
// # Trust
//
// A proof shows what a root commits to. It does not show that the root is right: an
// aggregator could commit to a map that leaves an entry out, has a leaf out of
// order, or lists a key twice. Only the ledger tells, and it tells everybody:
// a holder of a copy computes the root again ([Sum], or [Build]) from the entries
// before it and compares the two values. There is one right root for each size, so
// a root that differs convicts the aggregator, which signed both: the checkpoint
// whose tree has the entries, and the root, which is an entry of the same tree and
// cannot be taken back. Hiding a dissent from one reader therefore means publishing
// the evidence of it to all, for as long as the ledger exists. One auditor who
// replays is enough; no reader has to trust the same one.
//
// A reader who has no copy trusts that others audit, and checks the rest:
//
//  1. the root's entry is in the tree of a checkpoint under the log's key (a
//     receipt), and reading.ParseMapRoot accepts it;
//  2. the proofs of the output and of RosterKey verify against the root;
//  3. the entries listed are in the tree, all of them (inclusion proofs);
//  4. the entries from Root.Size up to the checkpoint's size, which no root covers
//     yet, are read in full and sorted in with [Keys].
//
// An older root than the newest costs a longer scan in step 4 and hides nothing.
//
// A reader whose software does not know an entry's kind, or the version of the rules at
// its place, cannot compute the map of that entry and later ones. [Keys] says so
// (reading.NewerError), and the root says by which version the map was made: no
// differing root is held against anybody by a program that does not know the rules.
//
// # On disk
//
// [Build] writes a snapshot of a map, and [Open] serves proofs from it. It is a
// cache like every index: damaged or lost, it is built again. A later one is built
// from an earlier one and the entries since, see [Sorter.Pairs].
package outputmap
