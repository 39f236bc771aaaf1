package signing

import (
	"crypto"

	"repronet/attestation"
	"repronet/signing/keys"
)

// What package keys defines is known here under the same names: see there.
type (
	BuilderID = keys.BuilderID
	PublicKey = keys.PublicKey
	Key       = keys.Key
	Signer    = keys.Signer
	Algorithm = keys.Algorithm
)

// The algorithms that a builder may use, and the form and greatest size of a
// bundle.
const (
	Ed25519       = keys.Ed25519
	P256          = keys.P256
	MediaType     = keys.MediaType
	MaxBundleSize = keys.MaxBundleSize
)

// ParseBuilderID is [keys.ParseBuilderID].
func ParseBuilderID(s string) (BuilderID, error) { return keys.ParseBuilderID(s) }

// NewPublicKey is [keys.NewPublicKey].
func NewPublicKey(key crypto.PublicKey) (*PublicKey, error) { return keys.NewPublicKey(key) }

// ParsePublicKey is [keys.ParsePublicKey].
func ParsePublicKey(text []byte) (*PublicKey, error) { return keys.ParsePublicKey(text) }

// ParsePublicKeyDER is [keys.ParsePublicKeyDER].
func ParsePublicKeyDER(der []byte) (*PublicKey, error) { return keys.ParsePublicKeyDER(der) }

// GenerateKey is [keys.GenerateKey].
func GenerateKey(algorithm Algorithm) ([]byte, error) { return keys.GenerateKey(algorithm) }

// NewSigner is [keys.NewSigner].
func NewSigner(private crypto.Signer) (*Signer, error) { return keys.NewSigner(private) }

// LoadSigner is [keys.LoadSigner].
func LoadSigner(reference string) (*Signer, error) { return keys.LoadSigner(reference) }

// Peek is [keys.Peek].
func Peek(bundleJSON []byte) (BuilderID, attestation.Digest, error) { return keys.Peek(bundleJSON) }
