package signing

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
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
	Message *protobundle.Bundle
	// Builder is whose key it names; empty of a keyless bundle.
	Builder BuilderID
	// Certificate is what a keyless bundle names instead (X.509, DER).
	Certificate []byte
	Payload     []byte
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
	if certificate := message.GetVerificationMaterial().GetCertificate(); certificate != nil {
		if len(certificate.GetRawBytes()) == 0 {
			return nil, malformed("its certificate is empty")
		}
		return &Bundle{Message: &message, Certificate: certificate.GetRawBytes(), Payload: envelope.Payload}, nil
	}
	var sum [sha256.Size]byte
	hint, err := base64.StdEncoding.Strict().DecodeString(message.GetVerificationMaterial().GetPublicKey().GetHint())
	if err != nil || len(hint) != len(sum) {
		return nil, malformed("it names no key: publicKey.hint is the base 64 of the SHA-256 of the builder's public key (keyless: certificate)")
	}
	copy(sum[:], hint)
	return &Bundle{Message: &message, Builder: builderID(sum), Payload: envelope.Payload}, nil
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
