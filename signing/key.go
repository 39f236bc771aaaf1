package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
)

// BuilderID names a builder: the first 20 bytes of the SHA-256 of its public
// key (PKIX, DER) in lower-case base 32 of RFC 4648, 32 characters.
type BuilderID string

var (
	builderIDPattern  = regexp.MustCompile(`^[a-z2-7]{32}$`)
	builderIDEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// ParseBuilderID checks the spelling of a builder's ID.
func ParseBuilderID(s string) (BuilderID, error) {
	if !builderIDPattern.MatchString(s) {
		return "", fmt.Errorf("builder id %.40q is not 32 characters of a-z and 2-7", s)
	}
	return BuilderID(s), nil
}

// NewBuilderID names a builder whose key has no PKIX form: identity takes the
// key's place in the definition of a [BuilderID]. It begins with what kind of
// identity it is and a colon, so that it is no DER.
func NewBuilderID(identity string) BuilderID { return builderID(sha256.Sum256([]byte(identity))) }

// A PublicKey is a builder's public key: Ed25519, or ECDSA on P-256.
type PublicKey struct {
	key crypto.PublicKey
	der []byte
	sum [sha256.Size]byte // of der
}

// NewPublicKey accepts an ed25519.PublicKey or a P-256 *ecdsa.PublicKey.
func NewPublicKey(key crypto.PublicKey) (*PublicKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("ECDSA key on %s: only P-256 is accepted", k.Curve.Params().Name)
		}
	default:
		return nil, fmt.Errorf("key of type %T: only Ed25519 and ECDSA P-256 keys are accepted", key)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	return &PublicKey{key: key, der: der, sum: sha256.Sum256(der)}, nil
}

// ParsePublicKey reads a PEM block "PUBLIC KEY" (PKIX), as
// [PublicKey.PEM] writes it.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New(`no PEM block "PUBLIC KEY" found`)
	}
	if extra, _ := pem.Decode(rest); extra != nil {
		return nil, errors.New("more than one PEM block found")
	}
	return ParsePublicKeyDER(block.Bytes)
}

// ParsePublicKeyDER reads a PKIX public key.
func ParsePublicKeyDER(der []byte) (*PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("parsing public key: %w", err)
	}
	return NewPublicKey(key)
}

// Builder returns the builder whose key this is.
func (p *PublicKey) Builder() BuilderID { return builderID(p.sum) }

func builderID(sum [sha256.Size]byte) BuilderID {
	return BuilderID(builderIDEncoding.EncodeToString(sum[:20]))
}

// Key returns the key as NewPublicKey took it.
func (p *PublicKey) Key() crypto.PublicKey { return p.key }

// Hint is the key's name in a bundle's verification material: the base 64 of
// the SHA-256 of the PKIX key, as cosign and sigstore-go write it.
func (p *PublicKey) Hint() string { return base64.StdEncoding.EncodeToString(p.sum[:]) }

// DER returns the key in PKIX form.
func (p *PublicKey) DER() []byte { return append([]byte(nil), p.der...) }

// PEM returns the key as a PEM block "PUBLIC KEY".
func (p *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der})
}
