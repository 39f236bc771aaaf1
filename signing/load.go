package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Algorithm is the kind of a key.
type Algorithm string

// The algorithms that a builder may use.
const (
	Ed25519 Algorithm = "ed25519"
	P256    Algorithm = "p256"
)

// GenerateKey returns a new private key as PEM (PKCS#8), the form that
// [LoadSigner] reads from a file.
func GenerateKey(algorithm Algorithm) ([]byte, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return nil, fmt.Errorf("key algorithm %q is neither %q nor %q", algorithm, Ed25519, P256)
	}
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// LoadSigner opens the key that a reference names:
//
//	FILE            a PKCS#8 PEM file, readable by its owner only
//	nix:FILE        a Nix secret key ("name:base64"); make one for this purpose,
//	                a binary cache's key must not sign anything else
//	ssh:FILE        an unencrypted OpenSSH private key, Ed25519 or P-256
//	ssh-agent:NAME  a key of the running ssh-agent, by its SHA256 fingerprint or
//	                comment; "ssh-agent:" takes the only usable one
func LoadSigner(reference string) (*Signer, error) {
	scheme, rest, found := strings.Cut(reference, ":")
	if !found {
		return loadFile(reference, parsePKCS8)
	}
	switch scheme {
	case "nix":
		return loadFile(rest, parseNixKey)
	case "ssh":
		return loadFile(rest, parseSSHKey)
	case "ssh-agent":
		return agentSigner(rest)
	default:
		return loadFile(reference, parsePKCS8)
	}
}

func loadFile(path string, parse func([]byte) (crypto.Signer, error)) (*Signer, error) {
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	key, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return NewSigner(key)
}

func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading key: %w", err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return fmt.Errorf("key %s can be read by others (mode %v): run chmod 600 %s", path, fs.FileMode(info.Mode().Perm()), path)
	}
	return nil
}

func parsePKCS8(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block found (nix: and ssh: name the other key formats)")
	}
	if block.Type == "OPENSSH PRIVATE KEY" {
		return nil, errors.New("this is an OpenSSH key: name it as ssh:FILE")
	}
	if block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("PEM block %q, want \"PRIVATE KEY\" (PKCS#8)", block.Type)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// parseNixKey reads "name:base64" of 64 bytes, libsodium's secret key, which is
// laid out as ed25519.PrivateKey is.
func parseNixKey(text []byte) (crypto.Signer, error) {
	_, encoded, found := bytes.Cut(bytes.TrimSpace(text), []byte(":"))
	if !found {
		return nil, errors.New("a Nix secret key is written name:base64")
	}
	raw, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil || len(raw) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("a Nix secret key holds %d bytes in base 64", ed25519.PrivateKeySize)
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if !bytes.Equal(key, raw) {
		return nil, errors.New("the key's public half does not belong to its secret half")
	}
	return key, nil
}

func parseSSHKey(text []byte) (crypto.Signer, error) {
	key, err := ssh.ParseRawPrivateKey(text)
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		return nil, errors.New("the key is encrypted: load it into ssh-agent and name it as ssh-agent:FINGERPRINT")
	}
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *ed25519.PrivateKey:
		return *k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("a key of type %T: only Ed25519 and ECDSA P-256 keys are accepted", key)
	}
}
