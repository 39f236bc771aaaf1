package signing

import (
	"fmt"

	"repronet/signing/keys"
)

// OpenPayload checks the form of a bundle whose payload is an in-toto statement
// of any predicate type, and that the key signed it. It returns the payload,
// which the caller parses. The errors wrap [ErrMalformed], [ErrTooLarge] or
// [ErrSignature].
func OpenPayload(bundleJSON []byte, key *keys.PublicKey) ([]byte, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	if u.Builder != key.Builder() {
		return nil, fmt.Errorf("%w: builder %s signed it, not %s", ErrSignature, u.Builder, key.Builder())
	}
	if err := u.checkSignature(key); err != nil {
		return nil, fmt.Errorf("%w: the payload is not what builder %s signed, or another key signed it", ErrSignature, u.Builder)
	}
	return u.Payload, nil
}
