// Package index turns ledger entries into rows: it follows the ledger, judges
// each entry in ledger order, and keeps what came of it in package store.
//
// # Model
//
// What the index says after n entries is a pure function of the entries 0 … n-1
// and of the attachments that they name. Work is done in batches, which grow with
// what waits; batches never show: outputs are judged entry by entry, and the
// roster, the counts and the numbers of outputs move entry by entry too.
//
// A statement that an earlier entry has, of the same builder, moves nothing.
//
// Entries that change what earlier claims count for (revocations, changes of a
// tier, erasures of certificates) and package sets are batches of their own.
//
// # Erasure
//
// An attachment that an entry erased was never there, for entries before that one
// too (enrolment.Erasure). What the tables say of certificates holds therefore
// only while none is erased: the entry that does makes the index compute all
// anew, in a generation beside the present one, which serves readers until it is
// done. So history has no trace of evidence whose certificate is gone, and is what
// a replay without the bytes comes to. Erasing an attachment that decides nothing
// costs nothing.
//
// # Trust
//
// The index trusts the ledger to be in order and to stay what it is, and nothing
// else: each attestation is opened again, under the keys that the ledger's own
// enrolments name at that place. What does not verify, or cannot be read, moves
// nothing; its row says why. Indexing never stops at an entry because of what a
// submitter wrote into it. It stops before an entry that only a newer program can read
// (reading.NewerError), which only another version of the ledger's own writer wrote, and
// goes on there when it is upgraded.
//
// # Stopping
//
// The process may end at any moment; see package store for why indexing an entry
// again changes nothing.
package index
