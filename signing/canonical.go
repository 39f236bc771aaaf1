package signing

import (
	"encoding/base64"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/internal/canonical"
)

// The one spelling in which bundles by a key are written here: protojson's, whose members
// come in the order of their numbers, with or without a space behind commas.

// encodeCanonical returns the bundle of a payload that the key with a hint signed.
func encodeCanonical(hint string, payload, signature []byte) []byte {
	const room = 512 // all that is neither payload nor signature
	text := make([]byte, 0, room+base64.StdEncoding.EncodedLen(len(payload)+len(signature)))
	text = append(text, `{"mediaType":"`+MediaType+`","verificationMaterial":{"publicKey":{"hint":"`...)
	text = append(text, hint...)
	text = append(text, `"}},"dsseEnvelope":{"payload":"`...)
	text = base64.StdEncoding.AppendEncode(text, payload)
	text = append(text, `","payloadType":"`+attestation.PayloadType+`","signatures":[{"sig":"`...)
	text = base64.StdEncoding.AppendEncode(text, signature)
	return append(text, `"}]}}`...)
}

// parseCanonical reads what encodeCanonical writes, in a small part of the time that
// parseAny takes. Of any other bundle it returns nil: it may be right, and is for parseAny
// to judge.
func parseCanonical(bundleJSON []byte) *Bundle {
	s := canonical.NewBytes(bundleJSON)
	s.Expect(`{"mediaType":"` + MediaType + `"`)
	s.Comma()
	s.Expect(`"verificationMaterial":{"publicKey":{"hint":`)
	hint := s.Text()
	s.Expect(`}}`)
	s.Comma()
	s.Expect(`"dsseEnvelope":{"payload":`)
	payload := scanBytes(s)
	s.Comma()
	s.Expect(`"payloadType":"` + attestation.PayloadType + `"`)
	s.Comma()
	s.Expect(`"signatures":[{"sig":`)
	signature := scanBytes(s)
	s.Expect(`}]}}`)
	builder, ok := hinted(hint)
	if !s.Done() || !ok {
		return nil
	}
	return &Bundle{Builder: builder, Payload: payload, Signature: signature, hint: strings.Clone(hint)}
}

// scanBytes reads a string that is the base 64 of some bytes, in its one spelling.
func scanBytes(s *canonical.Scanner) []byte {
	decoded, err := base64.StdEncoding.Strict().DecodeString(s.Text())
	if err != nil || len(decoded) == 0 {
		s.Fail()
		return nil
	}
	return decoded
}
