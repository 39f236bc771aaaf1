package signing

import "errors"

// Reasons for which a bundle is refused. The errors of this package and of package
// sigstore wrap one of these.
var (
	// ErrMalformed: not a bundle of the accepted form, or its statement breaks
	// a rule of package attestation.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: the bundle or its payload is beyond MaxBundleSize or
	// attestation.MaxPayloadSize.
	ErrTooLarge = errors.New("too large")
	// ErrUnknownBuilder: the look-up knows no such builder.
	ErrUnknownBuilder = errors.New("builder is not enrolled")
	// ErrKeyNotValid: the key or identity is expired, not yet valid or revoked.
	ErrKeyNotValid = errors.New("key is not valid")
	// ErrSignature: the signature is not that key's signature of the payload.
	ErrSignature = errors.New("signature does not verify")
)
