package sigstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

// Bytes that came from outside become a statement with a proven builder, or an error.
func ExampleOpen() {
	alice := signingtest.Named("alice")
	known := func(id signing.BuilderID) (signing.Key, error) {
		if id != alice.Public().Builder() {
			return signing.Key{}, fmt.Errorf("builder %s: %w", id, signing.ErrUnknownBuilder)
		}
		return signing.Key{PublicKey: alice.Public()}, nil
	}
	statement := &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/hello-1.0^bin", Digest: attestation.Digest{1}}},
		Reason:   "the disk was broken",
	}
	bundle, err := alice.Sign(context.Background(), statement)
	if err != nil {
		fmt.Println(err)
		return
	}
	verified, err := sigstore.Open(bundle, known, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(verified.Statement().Reason)

	stranger, err := signingtest.Named("mallory").Sign(context.Background(), statement)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = sigstore.Open(stranger, known, time.Now())
	fmt.Println(errors.Is(err, signing.ErrUnknownBuilder))
	_, err = sigstore.Open(bytes.Replace(bundle, []byte("mediaType"), []byte("mediatype"), 1), known, time.Now())
	fmt.Println(errors.Is(err, signing.ErrMalformed))
	// Output:
	// the disk was broken
	// true
	// true
}
