// Package reading says what an entry of the ledger says, and whether it counts: the
// one place in which entries are opened. The index, the replay, the checker, the
// verifiable map and the exports fold what they get from here, each in its own way.
//
// Start here: [Reader.Read] opens an entry under the keys of its place in the ledger;
// [Peek] tells which outputs an entry is about, under no keys at all.
//
// # Model
//
// What an entry says is a value of one of the types that implement [Said]:
//
//	Statement   a builder claims digests of outputs, takes claims back, or failed to build
//	Document    a third party's signed document claims digests in its signers' names
//	Set         a package set has these members from here on
//	Enrolment, Revocation, Erasure   who counts from here on
//	MapRoot     a commitment to the verifiable map (moves no verdict)
//	Rules       a version of the rules judges from here on
//	Refused     the entry breaks its rules and moves nothing; it says why
//
// It is pure: it follows from the entry, from its text where that is an attachment
// ([TextOf]), from the enrolments and revocations before
// it with the attachments that they name, and from the time of receipt. A key that is
// enrolled later changes nothing about earlier entries: the same document, relayed
// again, is another entry then ([Document.ID]) and counts.
//
// Claims come with everything that a fold needs ([Claim]), and without an allocation
// for each. Which of them stand is package divergence's subject. That an entry repeats
// an earlier one is a matter of the ledger's order: a fold asks by [Key].
//
// # Versions
//
// The rules are numbered ([Version]). An entry of kind ledger.Rules says from which
// index a later version judges. An entry of a kind that this program does not know, and
// one that brings a version above [Newest], is no Said but an error, a [NewerError]:
// nothing at that place or behind it can be decided here, and nobody can be accused of
// it. It wraps [ErrNewerRules].
//
// A statement that names the ledgers in which it counts is in an entry of a kind of its own
// (ledger.Addressed), so that no version has to be known to read it; [Reader.In] says which
// ledger is read.
//
// Third parties' documents are of kinds that one table lists (kinds.go). A further kind
// is a package below evidence that parses it and judges its signatures, and a line in
// that table.
//
// # Trust
//
// The roster is believed, and the attachments to have the SHA-256 that they were asked
// for by. A certificate counts for the projects for which it was enrolled, a cache's
// key under the name with which it was enrolled. The attachment with a certificate is
// named by its hash; one that does not hold the enrolled key is no certificate, and
// neither is one that the ledger erased, wherever in the ledger the entry stands that
// says so (enrolment.Erasure).
package reading
