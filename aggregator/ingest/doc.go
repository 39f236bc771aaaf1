// Package ingest is the one way into the ledger. Bytes come in from anybody; an
// entry goes out only for a bundle that [sigstore.Open] has verified under the
// roster of the moment, and the answer is given only when the entry is durable.
//
// Third-party evidence ([Ingest.SubmitEvidence]) comes from anybody, because it
// proves itself. What no known key signed is kept, within a bound, and does
// not count.
//
// What is appended stays for ever, so a [Budget] bounds the bytes that are written in a day,
// by builder, operator, tier, and for strangers' documents. What is over it is put off.
// What was written can be kept over a start ([Ingest.Spent]).
//
// The same claim of the same builder is stored once, however often and in
// whatever spelling it comes: a duplicate, also one of a claim that is still
// being written, gets the index and the receipt of the first.
//
// What a submission can cost is bounded before it is looked at: bytes on the wire
// and after decompression, bundles in a request, bytes of all requests together,
// statements verified at once, refusals in one request ([Batch]). Networks take turns at
// being verified (package fair). docs/bad-input.md lists what is refused and how.
//
// The package trusts the roster it is given. Who may write administrative entries
// ([Ingest.Enrol], [Ingest.Revoke], [Ingest.PublishSet]) is their caller's subject.
package ingest
