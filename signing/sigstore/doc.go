// Package sigstore checks Sigstore bundles: that the builder that a bundle names
// signed the statement in it.
//
// Start here: [Open] for builders with a key, [OpenAny] for keyless ones too.
//
// # Model
//
// Bytes that came from outside become a [Verified] value only through Open or
// OpenAny: the type's zero value is useless, and nothing else in the project stores
// or counts a claim.
//
// # Trust
//
// Open trusts the look-up that it is given for which keys belong to builders and
// when they are valid, and nothing that the bundle says of itself: the hint in it
// only selects a key. A keyless bundle is checked against the trusted root that the
// look-up names for the identity.
//
// Signatures are checked by sigstore-go; this is the only package that imports it.
package sigstore
