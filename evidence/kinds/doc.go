// Package kinds opens third-party evidence of any kind as the ledger holds it,
// under the keys that the ledger's own enrolments name: what the way into the
// ledger, its index and a checker of it have to do alike.
//
// # Model
//
// An [Evidence] says digests of outputs ([Row]) in the names of those who signed
// it ([Signer]). What counts is pure: it follows from the entry, from the
// enrolments and revocations before it with the attachments that they name, and
// from the time of receipt. A key that is enrolled later changes nothing about
// earlier entries: the same document, relayed again, is another entry then
// ([Evidence.ID]) and counts.
//
// # Trust
//
// A certificate counts for the projects for which it was enrolled, a cache's key
// under the name with which it was enrolled. The attachment with a certificate is
// named by its hash; one that does not hold the enrolled key is no certificate, and
// neither is one that the ledger erased, wherever in the ledger the entry stands
// that says so (enrolment.Erasure).
package kinds
