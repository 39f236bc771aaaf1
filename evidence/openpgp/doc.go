// Package openpgp opens checksum documents with detached OpenPGP signatures: a
// SHA256SUMS file, and the .asc file beside it in which one or more people put
// their keys' word to it.
//
// # The document
//
// A [Document] is the exact bytes of both files and the project that it is
// about, which decides which keys may speak and begins every output key:
// "<project>/<file name as signed>" in the ecosystem [evidence.ReleaseEcosystem].
// Names of folders and documents are not signed and do not matter. Lines are
// "<64 hex digits>  <name>" or "<64 hex digits> *<name>"; white space and carriage
// returns at their ends do not count. File names are hostile: a line that is
// written otherwise, or whose name breaks the rules of names in package
// attestation (a path that leaves its directory, an absolute one, a control
// character), is reported and not judged, and the others stand. A name listed
// with several digests is ambiguous and not judged; the same row twice is one.
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
//   - Signatures with MD5, SHA-1 or RIPEMD-160, by DSA, ElGamal or RSA keys of
//     less than 2,048 or more than 8,192 bits are refused. Self-signatures with
//     SHA-1 are accepted: they are statements of a key about itself, which an
//     attacker would have to get its owner to make.
//   - A critical notation, or a type of signature other than of a binary or
//     text document, is refused.
//
// The package trusts the certificates that its caller looks up, and go-crypto's
// parsing of packets and checking of signatures.
package openpgp
