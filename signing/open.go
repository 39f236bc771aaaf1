package signing

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet/attestation"
)

// MaxBundleSize bounds a bundle in bytes of JSON: a statement of the greatest
// size in base 64, and room for signature and certificates.
const MaxBundleSize = attestation.MaxPayloadSize/3*4 + 64<<10

// MediaType is the bundle version that is written and accepted.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Reasons for which [Open] refuses a bundle. Its errors wrap one of these.
var (
	// ErrMalformed: not a bundle of the accepted form, or its statement breaks
	// a rule of package attestation.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: the bundle or its payload is beyond MaxBundleSize or
	// attestation.MaxPayloadSize.
	ErrTooLarge = errors.New("too large")
	// ErrUnknownBuilder: the look-up knows no such builder.
	ErrUnknownBuilder = errors.New("builder is not enrolled")
	// ErrKeyNotValid: the key is expired, not yet valid or revoked.
	ErrKeyNotValid = errors.New("key is not valid")
	// ErrSignature: the signature is not that key's signature of the payload.
	ErrSignature = errors.New("signature does not verify")
)

// A Key is a builder's key with the time in which it may sign.
type Key struct {
	*PublicKey
	NotBefore, NotAfter time.Time // zero: unbounded
}

// CheckValid reports whether the key may sign at t.
func (k Key) CheckValid(t time.Time) error {
	if !k.NotBefore.IsZero() && t.Before(k.NotBefore) {
		return fmt.Errorf("%w: not before %s", ErrKeyNotValid, k.NotBefore.UTC().Format(time.RFC3339))
	}
	if !k.NotAfter.IsZero() && t.After(k.NotAfter) {
		return fmt.Errorf("%w: expired on %s", ErrKeyNotValid, k.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// Lookup returns the key of a builder, or an error that wraps
// [ErrUnknownBuilder] or [ErrKeyNotValid]. It is asked anew for each bundle, so
// a revocation acts at once. It is called from several goroutines.
type Lookup func(BuilderID) (Key, error)

// Verified is a statement together with the builder that is proven to have
// signed it. Only [Open] makes one.
type Verified struct {
	statement *attestation.Statement
	builder   BuilderID
	bundle    []byte
	payload   []byte
	digest    attestation.Digest
}

// Statement returns the claim. Callers must not change it.
func (v *Verified) Statement() *attestation.Statement { return v.statement }

// Builder returns who signed the claim.
func (v *Verified) Builder() BuilderID { return v.builder }

// Bundle returns the evidence, byte for byte as it came.
func (v *Verified) Bundle() []byte { return v.bundle }

// Payload returns the signed bytes of the statement.
func (v *Verified) Payload() []byte { return v.payload }

// PayloadDigest returns the SHA-256 of the payload. With the builder it
// identifies the claim: signatures are malleable, and a bundle can be spelled in
// many ways.
func (v *Verified) PayloadDigest() attestation.Digest { return v.digest }

// Open checks a bundle completely: its form, the signature by the key that
// lookup knows for the builder, that key's validity at the time at (of
// receipt), and the statement. The errors wrap one of this package's sentinels.
func Open(bundleJSON []byte, lookup Lookup, at time.Time) (*Verified, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	id := u.builder()
	key, err := lookup(id)
	if err != nil {
		return nil, err
	}
	if key.PublicKey == nil || key.Builder() != id {
		return nil, fmt.Errorf("%w: the key known for builder %s is another one", ErrUnknownBuilder, id)
	}
	if err := key.CheckValid(at); err != nil {
		return nil, err
	}
	if err := u.checkSignature(key.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: the payload is not what builder %s signed, or another key signed it", ErrSignature, id)
	}
	statement, err := attestation.Parse(u.payload)
	if err != nil {
		return nil, fmt.Errorf("%w statement: %w", ErrMalformed, err)
	}
	return &Verified{
		statement: statement, builder: id, bundle: bundleJSON,
		payload: u.payload, digest: sha256.Sum256(u.payload),
	}, nil
}

// unverified is a bundle whose form is right and whose signature nobody checked.
type unverified struct {
	bundle  *bundle.Bundle
	hint    [sha256.Size]byte
	payload []byte
}

func (u *unverified) builder() BuilderID { return builderID(u.hint) }

// checkSignature checks the signature alone. verify.Verifier would also parse the
// payload, with a laxer reader than attestation.Parse and several times slower.
func (u *unverified) checkSignature(key *PublicKey) error {
	signature, err := u.bundle.SignatureContent()
	if err != nil {
		return err
	}
	content, err := u.bundle.VerificationContent()
	if err != nil {
		return err
	}
	return verify.VerifySignature(signature, content, key.material)
}

// Peek returns the builder that a bundle names and the SHA-256 of its payload
// without checking anything but the form: what a reporter needs to recognise its
// own bundle, never a reason to believe it.
func Peek(bundleJSON []byte) (BuilderID, attestation.Digest, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return "", attestation.Digest{}, err
	}
	return u.builder(), sha256.Sum256(u.payload), nil
}

// PeekStatement returns the builder that a bundle names and the statement in it,
// with the signature not checked: what an index of claims needs to find them
// again, never a reason to believe one.
func PeekStatement(bundleJSON []byte) (BuilderID, *attestation.Statement, error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return "", nil, fmt.Errorf("%w bundle: %w", ErrMalformed, err)
	}
	statement, err := attestation.Parse(u.payload)
	if err != nil {
		return "", nil, fmt.Errorf("%w statement: %w", ErrMalformed, err)
	}
	return u.builder(), statement, nil
}

func parseBundle(bundleJSON []byte) (*unverified, error) {
	if len(bundleJSON) > MaxBundleSize {
		return nil, fmt.Errorf("%w: a bundle of %d bytes, at most %d are accepted: split the statement", ErrTooLarge, len(bundleJSON), MaxBundleSize)
	}
	var message protobundle.Bundle
	if err := protojson.Unmarshal(bundleJSON, &message); err != nil {
		return nil, malformed("not a Sigstore bundle in JSON: %s", readable(err))
	}
	envelope := message.GetDsseEnvelope()
	switch {
	case message.MediaType != MediaType:
		return nil, malformed("mediaType is %.60q, want %q", message.MediaType, MediaType)
	case envelope == nil:
		return nil, malformed("it contains no DSSE envelope")
	case envelope.PayloadType != attestation.PayloadType:
		return nil, malformed("payloadType is %.60q, want %q", envelope.PayloadType, attestation.PayloadType)
	case len(envelope.Signatures) != 1:
		return nil, malformed("it has %d signatures, want one", len(envelope.Signatures))
	case envelope.Signatures[0].GetKeyid() != "":
		return nil, malformed("its signature has a keyid: leave it empty, publicKey.hint names the key")
	case len(envelope.Payload) > attestation.MaxPayloadSize:
		return nil, fmt.Errorf("%w: a payload of %d bytes, at most %d are accepted: split the statement", ErrTooLarge, len(envelope.Payload), attestation.MaxPayloadSize)
	}
	u := &unverified{payload: envelope.Payload}
	hint, err := base64.StdEncoding.Strict().DecodeString(message.GetVerificationMaterial().GetPublicKey().GetHint())
	if err != nil || len(hint) != len(u.hint) {
		return nil, malformed("it names no key: publicKey.hint is the base 64 of the SHA-256 of the builder's public key")
	}
	copy(u.hint[:], hint)
	if u.bundle, err = bundle.NewBundle(&message); err != nil {
		return nil, malformed("%v", err)
	}
	return u, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w bundle: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// readable takes away what protobuf puts before its errors, so that nobody relies
// on their text, and bounds what they repeat of hostile input.
func readable(err error) string {
	const limit = 200
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strings.ReplaceAll(text, "\u00a0", " ")
}
