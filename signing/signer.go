package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet/attestation"
)

// A Signer holds a builder's private key, or the way to an agent that does.
type Signer struct {
	public *PublicKey
	key    crypto.PublicKey
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
	s := &Signer{public: public, key: private.Public()}
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
func (s *Signer) SignPayload(ctx context.Context, payload []byte) ([]byte, error) {
	data := &sign.DSSEData{Data: payload, PayloadType: attestation.PayloadType}
	b, err := sign.Bundle(data, keypair{s}, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, fmt.Errorf("signing statement: %w", err)
	}
	text, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding bundle: %w", err)
	}
	return text, nil
}

// keypair is a Signer in the form that sigstore-go asks for.
type keypair struct{ *Signer }

var _ sign.Keypair = keypair{}

func (k keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (k keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	if _, ok := k.key.(*ecdsa.PublicKey); ok {
		return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	}
	return protocommon.PublicKeyDetails_PKIX_ED25519
}

func (k keypair) GetHint() []byte { return []byte(k.public.Hint()) }

func (k keypair) GetKeyAlgorithm() string {
	if _, ok := k.key.(*ecdsa.PublicKey); ok {
		return "ECDSA"
	}
	return "ED25519"
}

func (k keypair) GetPublicKey() crypto.PublicKey { return k.key }

func (k keypair) GetPublicKeyPem() (string, error) { return string(k.public.PEM()), nil }

func (k keypair) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	signature, err := k.sign(data)
	if err != nil {
		return nil, nil, err
	}
	digest := sha256.Sum256(data)
	return signature, digest[:], nil
}
