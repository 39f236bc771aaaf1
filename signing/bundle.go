package signing

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet.dev/attestation"
)

// MaxBundleSize bounds a bundle in bytes of JSON: a statement of the greatest
// size in base 64, and room for signature and certificates.
const MaxBundleSize = attestation.MaxPayloadSize/3*4 + 64<<10

// MediaType is the bundle version that is written and accepted.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// A Bundle is one whose form is right and whose signature is not checked.
type Bundle struct {
	// Builder is whose key it names; empty of a keyless bundle.
	Builder BuilderID
	// Certificate is what a keyless bundle names instead (X.509, DER).
	Certificate []byte
	Payload     []byte
	Signature   []byte

	message *protobundle.Bundle // nil of one that was read by parseCanonical
	hint    string              // of that one
}

// Message returns the bundle in the form that Sigstore's libraries take.
func (b *Bundle) Message() *protobundle.Bundle {
	if b.message != nil {
		return b.message
	}
	return newMessage(b.hint, b.Payload, b.Signature)
}

// Canonical reports whether the bundle is by a key, and spelled as [Signer.Sign] spells it:
// of its form there is nothing left to check.
func (b *Bundle) Canonical() bool { return b.message == nil }

func newMessage(hint string, payload, signature []byte) *protobundle.Bundle {
	return &protobundle.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: hint}},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: attestation.PayloadType,
			Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	}
}

// Peek returns the builder that a bundle names and the SHA-256 of its payload
// without checking anything but the form: what a reporter needs to recognise its
// own bundle, never a reason to believe it. The builder is empty of a keyless
// bundle: only who knows the enrolments can tell.
func Peek(bundleJSON []byte) (BuilderID, attestation.Digest, error) {
	b, err := ParseBundle(bundleJSON)
	if err != nil {
		return "", attestation.Digest{}, err
	}
	return b.Builder, sha256.Sum256(b.Payload), nil
}

// ParseBundle reads a bundle with one signature by a key, which it names, or by
// the key in a certificate, which it contains. The errors wrap [ErrMalformed] or
// [ErrTooLarge].
func ParseBundle(bundleJSON []byte) (*Bundle, error) {
	if len(bundleJSON) > MaxBundleSize {
		return nil, fmt.Errorf("%w: a bundle of %d bytes, at most %d are accepted: split the statement", ErrTooLarge, len(bundleJSON), MaxBundleSize)
	}
	if b := parseCanonical(bundleJSON); b != nil {
		return b.bounded()
	}
	return parseAny(bundleJSON)
}

// parseAny reads a bundle in any spelling.
func parseAny(bundleJSON []byte) (*Bundle, error) {
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
	}
	b := &Bundle{Payload: envelope.Payload, Signature: envelope.Signatures[0].GetSig(), message: &message}
	if certificate := message.GetVerificationMaterial().GetCertificate(); certificate != nil {
		if len(certificate.GetRawBytes()) == 0 {
			return nil, malformed("its certificate is empty")
		}
		b.Certificate = certificate.GetRawBytes()
		return b.bounded()
	}
	var ok bool
	if b.Builder, ok = hinted(message.GetVerificationMaterial().GetPublicKey().GetHint()); !ok {
		return nil, malformed("it names no key: publicKey.hint is the base 64 of the SHA-256 of the builder's public key (keyless: certificate)")
	}
	return b.bounded()
}

// bounded refuses a bundle whose payload is too large.
func (b *Bundle) bounded() (*Bundle, error) {
	if len(b.Payload) > attestation.MaxPayloadSize {
		return nil, fmt.Errorf("%w: a payload of %d bytes, at most %d are accepted: split the statement", ErrTooLarge, len(b.Payload), attestation.MaxPayloadSize)
	}
	return b, nil
}

// hinted returns the builder that a hint names.
func hinted(hint string) (BuilderID, bool) {
	sum, err := base64.StdEncoding.Strict().DecodeString(hint)
	if err != nil || len(sum) != sha256.Size {
		return "", false
	}
	return builderID([sha256.Size]byte(sum)), true
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w bundle: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// readable takes away what protobuf puts before its errors, so that no caller relies
// on their text, and bounds what they repeat of hostile input.
func readable(err error) string {
	const limit = 200
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strings.ReplaceAll(text, "\u00a0", " ")
}
