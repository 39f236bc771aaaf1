package sigstore

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// Lookup returns the key of a builder, or an error that wraps
// [signing.ErrUnknownBuilder] or [signing.ErrKeyNotValid]. It is asked anew for each bundle, so
// a revocation acts at once. It is called from several goroutines.
type Lookup func(signing.BuilderID) (signing.Key, error)

// Verified is a statement together with the builder that is proven to have
// signed it. Only [Open] makes one.
type Verified struct {
	statement *attestation.Statement
	builder   signing.BuilderID
	bundle    []byte
	payload   []byte
	digest    attestation.Digest
}

// Statement returns the claim. Callers must not change it.
func (v *Verified) Statement() *attestation.Statement { return v.statement }

// Builder returns who signed the claim.
func (v *Verified) Builder() signing.BuilderID { return v.builder }

// Bundle returns the evidence, byte for byte as it came.
func (v *Verified) Bundle() []byte { return v.bundle }

// Payload returns the signed bytes of the statement.
func (v *Verified) Payload() []byte { return v.payload }

// PayloadDigest returns the SHA-256 of the payload. With the builder it
// identifies the claim: signatures are malleable, and a bundle can be spelled in
// many ways.
func (v *Verified) PayloadDigest() attestation.Digest { return v.digest }

// Open checks a bundle of a builder that has a key completely: its form, the
// signature by the key that lookup knows for the builder, that key's validity at
// the time at (of receipt), and the statement. The errors wrap one of this
// package's sentinels.
func Open(bundleJSON []byte, lookup Lookup, at time.Time) (*Verified, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	if u.Certificate != nil {
		return nil, fmt.Errorf("%w: it is signed by a certificate, and keys only are known here", signing.ErrUnknownBuilder)
	}
	builder, err := u.signedByKey(lookup, at)
	if err != nil {
		return nil, err
	}
	return u.verified(builder)
}

// OpenAny is [Open] for bundles of keyless builders too: their certificate,
// signature, and the proofs of when it was made are checked against the trusted
// root that keyless knows for the builder. An error that wraps none of this
// package's sentinels says that a trusted root could not be had.
func OpenAny(ctx context.Context, bundleJSON []byte, lookup Lookup, keyless KeylessLookup, at time.Time) (*Verified, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	builder, err := u.signedBy(ctx, lookup, keyless, at)
	if err != nil {
		return nil, err
	}
	v, err := u.verified(builder)
	if err != nil {
		return nil, err
	}
	// Each job would begin a stream of its own, of which could not be said whether
	// all statements are there.
	if u.Certificate != nil && v.statement.Chain.Stream != "" {
		return nil, fmt.Errorf("%w statement: a keyless builder's has no stream", signing.ErrMalformed)
	}
	return v, nil
}

// signedBy checks who signed the bundle, by a key or without one.
func (u *unverified) signedBy(ctx context.Context, lookup Lookup, keyless KeylessLookup, at time.Time) (signing.BuilderID, error) {
	if u.Certificate == nil {
		return u.signedByKey(lookup, at)
	}
	return u.signedKeyless(ctx, keyless, at)
}

func (u *unverified) signedByKey(lookup Lookup, at time.Time) (signing.BuilderID, error) {
	id := u.Builder
	key, err := lookup(id)
	if err != nil {
		return "", err
	}
	if key.PublicKey == nil || key.Builder() != id {
		return "", fmt.Errorf("%w: the key known for builder %s is another one", signing.ErrUnknownBuilder, id)
	}
	if err := key.CheckValid(at); err != nil {
		return "", err
	}
	if err := u.checkSignature(key.PublicKey); err != nil {
		return "", fmt.Errorf("%w: the payload is not what builder %s signed, or another key signed it", signing.ErrSignature, id)
	}
	return id, nil
}

func (u *unverified) verified(builder signing.BuilderID) (*Verified, error) {
	statement, err := attestation.Parse(u.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w statement: %w", signing.ErrMalformed, err)
	}
	return &Verified{
		statement: statement, builder: builder, bundle: u.text,
		payload: u.Payload, digest: sha256.Sum256(u.Payload),
	}, nil
}

// unverified is a bundle whose form is right and whose signature is not checked.
type unverified struct {
	*signing.Bundle
	bundle *bundle.Bundle // nil of a canonical one until sigstore-go is needed
	text   []byte
}

func parseBundle(bundleJSON []byte) (*unverified, error) {
	parsed, err := signing.ParseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	u := &unverified{parsed, nil, bundleJSON}
	if parsed.Canonical() {
		return u, nil
	}
	return u, u.prepare()
}

// prepare gives the bundle to sigstore-go.
func (u *unverified) prepare() (err error) {
	if u.bundle, err = bundle.NewBundle(u.Message()); err != nil {
		return fmt.Errorf("%w bundle: %v", signing.ErrMalformed, err) //nolint:errorlint // its kinds are not for callers
	}
	return nil
}

// checkSignature checks the signature alone.
func (u *unverified) checkSignature(key *signing.PublicKey) error {
	if public, ok := key.Key().(ed25519.PublicKey); ok && u.Canonical() {
		// What sigstore-go does of such a bundle, without what it does around it.
		if !ed25519.Verify(public, signing.PreAuthEncoding(u.Payload), u.Signature) {
			return signing.ErrSignature
		}
		return nil
	}
	return u.checkBySigstore(key)
}

// checkBySigstore has sigstore-go check the signature alone. verify.Verifier would also
// parse the payload, with a laxer reader than attestation.Parse and several times slower.
func (u *unverified) checkBySigstore(key *signing.PublicKey) error {
	if u.bundle == nil {
		if err := u.prepare(); err != nil {
			return err
		}
	}
	verifier, err := signature.LoadVerifier(key.Key(), crypto.SHA256)
	if err != nil {
		return err
	}
	// The validity period is the caller's subject (see signing.Key): sigstore-go checks
	// it only against trusted timestamps, which these bundles do not have.
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return &root.ExpiringKey{Verifier: verifier}, nil
	})
	signed, err := u.bundle.SignatureContent()
	if err != nil {
		return err
	}
	content, err := u.bundle.VerificationContent()
	if err != nil {
		return err
	}
	return verify.VerifySignature(signed, content, material)
}

// Peek returns a bundle whose form is right, with nothing checked but that: what an
// index of claims needs to find them again, never a reason to believe one. Of a keyless
// bundle it returns the identity in its certificate, if that can be read. The errors wrap
// [signing.ErrMalformed] or [signing.ErrTooLarge].
func Peek(bundleJSON []byte) (*signing.Bundle, signing.Identity, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, signing.Identity{}, err
	}
	if u.Certificate == nil {
		return u.Bundle, signing.Identity{}, nil
	}
	who, err := u.identity()
	if err != nil {
		who = signing.Identity{} // a certificate without an identity
	}
	return u.Bundle, who, nil
}
