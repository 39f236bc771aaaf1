// Package signing is about who claims: the keys that builders sign with, and
// Sigstore bundles, which carry a statement and its signature.
//
// A builder is a key. Its [BuilderID] is derived from the public key alone, so
// it is the same on every aggregator and says nothing about a person.
//
// Bytes that came from outside become a [Verified] value only through [Open]:
// the type's zero value is useless, and nothing else in the project stores or
// counts a claim. Open trusts the look-up it is given for which keys belong to
// builders and when they are valid, and nothing that the bundle says of itself:
// the hint in it only selects a key.
//
// Signatures are checked by sigstore-go; this is the only package that imports
// it. The keys themselves, and signing, are in package keys below.
package signing
