// Package signing is about who claims: the keys that builders sign with, the
// identities that stand in a key's place, and the form of Sigstore bundles, which
// carry a statement and its signature.
//
// Start here: [LoadSigner] opens a key and [Signer.Sign] signs a statement;
// package sigstore checks what came from outside.
//
// # Model
//
// A builder is a key. Its [BuilderID] is derived from the public key alone, so it
// is the same on every aggregator and says nothing about a person. A keyless
// builder is an [IdentityRule]: the identities that a certificate may name.
//
// # Trust
//
// This package checks no signature: [ParseBundle] and [Peek] say what a bundle
// claims. Checking is package sigstore's, and apart from here because sigstore-go
// brings in transparency logs, certificates and their clients, which a program
// that only signs would pay for with every start (a hook's whole time) and twice
// its size. What is signed here is checked there, and by openssl, in the tests of
// package sigstore.
package signing
