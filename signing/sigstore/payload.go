package sigstore

import (
	"context"
	"fmt"
	"time"

	"repronet.dev/signing"
)

// OpenPayload checks the form of a bundle whose payload is an in-toto statement
// of any predicate type, and that the key signed it. It returns the payload,
// which the caller parses. The errors wrap [signing.ErrMalformed], [signing.ErrTooLarge] or
// [signing.ErrSignature].
func OpenPayload(bundleJSON []byte, key *signing.PublicKey) ([]byte, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	if u.Builder != key.Builder() {
		return nil, fmt.Errorf("%w: builder %s signed it, not %s", signing.ErrSignature, u.Builder, key.Builder())
	}
	if err := u.checkSignature(key); err != nil {
		return nil, fmt.Errorf("%w: the payload is not what builder %s signed, or another key signed it", signing.ErrSignature, u.Builder)
	}
	return u.Payload, nil
}

// OpenAnyPayload is [OpenPayload] for whoever a look-up knows, as [OpenAny] has it. It
// returns the payload, which the caller parses, and the builder that signed it.
func OpenAnyPayload(ctx context.Context, bundleJSON []byte, lookup Lookup, keyless KeylessLookup, at time.Time) ([]byte, signing.BuilderID, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, "", err
	}
	builder, err := u.signedBy(ctx, lookup, keyless, at)
	if err != nil {
		return nil, "", err
	}
	return u.Payload, builder, nil
}
