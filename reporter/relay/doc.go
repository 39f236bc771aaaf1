// Package relay hands third parties' signed documents to an aggregator: checksum
// files and Gitian assertions of a repository of attestations ([Signed]), and narinfo
// of a binary cache ([NarinfoFiles], [NarinfoURL]). What in a directory is no document
// is told too, with the reason, so that nothing is passed over in silence.
//
// Anybody may relay them, without a key, because the documents prove themselves:
// the aggregator judges the signatures, and the relayer is not named. What it took
// is checked here: a receipt must prove, under the log's pinned key, that the log
// holds the document, or one that says the same.
//
// Nothing is kept on this side. Relaying the same again gives the receipts of the
// first time.
package relay
