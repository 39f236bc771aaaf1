// Package signingtest makes builders' keys for tests.
package signingtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"repronet.dev/signing"
)

// New returns a signer with a key of its own.
func New(tb testing.TB) *signing.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := signing.NewSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// Named returns the signer of a name: always the same, in every process.
func Named(name string) *signing.Signer {
	seed := sha256.Sum256([]byte(name))
	signer, err := signing.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	return signer
}
