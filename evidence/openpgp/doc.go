// Package openpgp opens texts with detached OpenPGP signatures: a SHA256SUMS file, and
// the .asc file beside it in which one or more people put their keys' word to it. Start
// with [OpenDocument] or [OpenSigned].
//
// # The document
//
// There are two forms of a ledger entry. A [Document] has the exact bytes of both files
// in JSON; it is the older form. A [Signed] has them raw, or the text as an attachment that it
// names; package gitian reads such texts too. Both have the project that the text is
// about, which decides which keys may speak and begins every output key:
// "<project>/<file name as signed>" in the ecosystem [ecosystem.Release].
// Names of folders and documents are not signed and do not matter.
//
// The rows of a Document are read by [ParseSums], a narrow grammar that never
// changes: what an entry did not say when it came into a ledger it never says. Those
// of a Signed are read by [ParseRows] as GNU sha256sum reads them. File names are
// hostile: a row that is written otherwise, or whose name breaks the rules of names (a
// path that leaves its directory, an absolute one, a control character), is
// reported and not judged, and the others stand. A name listed with several
// digests is ambiguous and not judged; the same row twice is one.
//
// [ParseClearsigned] takes clearsigned files apart, so that they are a text with
// detached signatures too.
//
// # The key
//
// A builder is a certificate's primary key, see [BuilderOf]; sub-keys that sign
// speak for it, if they signed it back (without that anybody could adopt
// somebody else's sub-key). Every signature of a document is judged by itself:
// any number of builders may have signed one document.
//
// A key is judged at the time that the signature asserts. That time is the
// signer's own word: who steals an expired key can date a signature back, so
// [Signature.Created] is to be shown as self-asserted. The rules, which are
// those of GnuPG where nothing else is said:
//
//   - The latest of the certificate's self-signatures decides when it expires,
//     also for signatures older than it: who extends a key extends it for its
//     whole life, and exported certificates often carry only the latest one.
//   - A revocation as compromised, or without a reason, takes everything away.
//     One as superseded or retired acts from its own time on (GnuPG: always).
//     Revocations by third parties (designated revokers) are not followed.
//   - A sub-key is valid while both it and its primary key are.
//   - Signatures with SHA-1, and those by DSA keys or RSA keys of less than 2,048 or
//     more than 8,192 bits, are weak: they are told to be their owner's where they
//     verify, and never count. Those with MD5 or RIPEMD-160 are refused.
//     Self-signatures with SHA-1 are accepted: they are statements of a key about
//     itself, which an attacker would have to get its owner to make.
//     [Certificate.NeverCounts] says of a certificate that nothing of it can count.
//   - A critical notation, or a type of signature other than of a binary or
//     text document, is refused.
//
// The package trusts the certificates that its caller looks up, and go-crypto's
// parsing of packets and checking of signatures.
package openpgp
