package signing

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"repronet.dev/attestation"
)

// A Signer holds a builder's private key, or the way to an agent that does.
type Signer struct {
	public *PublicKey
	sign   func(data []byte) ([]byte, error)
	close  func() error
}

// NewSigner returns a Signer for a private key in memory: an
// ed25519.PrivateKey, or an *ecdsa.PrivateKey on P-256.
func NewSigner(private crypto.Signer) (*Signer, error) {
	public, err := NewPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	s := &Signer{public: public}
	switch k := private.(type) {
	case ed25519.PrivateKey:
		s.sign = func(data []byte) ([]byte, error) { return ed25519.Sign(k, data), nil }
	default:
		s.sign = func(data []byte) ([]byte, error) {
			sum := sha256.Sum256(data)
			return private.Sign(rand.Reader, sum[:], crypto.SHA256)
		}
	}
	return s, nil
}

// Public returns the public half of the key.
func (s *Signer) Public() *PublicKey { return s.public }

// Close ends the connection to an agent, where there is one.
func (s *Signer) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Sign encodes and signs a statement, and returns the Sigstore bundle as JSON.
func (s *Signer) Sign(ctx context.Context, statement *attestation.Statement) ([]byte, error) {
	payload, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	return s.SignPayload(ctx, payload)
}

// SignPayload signs bytes that are a statement already.
func (s *Signer) SignPayload(_ context.Context, payload []byte) ([]byte, error) {
	signature, err := s.sign(PreAuthEncoding(payload))
	if err != nil {
		return nil, fmt.Errorf("signing statement: %w", err)
	}
	return encodeCanonical(s.public.Hint(), payload, signature), nil
}

// PreAuthEncoding is what DSSE signs: PAE of the protocol's specification,
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md.
func PreAuthEncoding(payload []byte) []byte {
	head := fmt.Sprintf("DSSEv1 %d %s %d ", len(attestation.PayloadType), attestation.PayloadType, len(payload))
	return append([]byte(head), payload...)
}
