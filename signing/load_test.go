package signing_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSA(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func openSSH(t *testing.T, key crypto.PrivateKey, passphrase string) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "alice@example")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// nixKey writes a key as nix-store --generate-binary-cache-key does.
func nixKey(key ed25519.PrivateKey) []byte {
	return []byte("builder.example-1:" + base64.StdEncoding.EncodeToString(key))
}

func write(t *testing.T, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSigns signs a statement and opens the bundle as an aggregator does, under
// the public key that belongs to the private one.
func checkSigns(t *testing.T, signer *signing.Signer, public crypto.PublicKey) {
	t.Helper()
	key, err := signing.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if key.Builder() != signer.Public().Builder() {
		t.Fatalf("signer is builder %s, the key is %s", signer.Public().Builder(), key.Builder())
	}
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/hello^out", Digest: attestation.Digest{1}}},
		Builds:   []attestation.Build{{Name: "alice/hello", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
	}
	for range 20 { // ECDSA's encoding has one length in most cases and others in some
		bundle, err := signer.Sign(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		lookup := func(signing.BuilderID) (signing.Key, error) { return signing.Key{PublicKey: key}, nil }
		verified, err := sigstore.Open(bundle, lookup, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		builder, payload, err := signing.Peek(bundle)
		if err != nil || builder != key.Builder() || payload != verified.PayloadDigest() {
			t.Errorf("peeked %s %v, %v", builder, payload, err)
		}
	}
}

func TestLoadSigner(t *testing.T) {
	ed, p256 := newEd25519(t), newECDSA(t, elliptic.P256())
	tests := []struct {
		name, scheme string
		file         []byte
		public       crypto.PublicKey
	}{
		{"PKCS#8 Ed25519", "", pkcs8(t, ed), ed.Public()},
		{"PKCS#8 P-256", "", pkcs8(t, p256), p256.Public()},
		{"Nix", "nix:", nixKey(ed), ed.Public()},
		{"Nix, with a line's end", "nix:", append(nixKey(ed), '\n'), ed.Public()},
		{"OpenSSH Ed25519", "ssh:", openSSH(t, ed, ""), ed.Public()},
		{"OpenSSH P-256", "ssh:", openSSH(t, p256, ""), p256.Public()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signer, err := signing.LoadSigner(tt.scheme + write(t, tt.file, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			checkSigns(t, signer, tt.public)
			if err := signer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGenerateKey(t *testing.T) {
	for _, algorithm := range []signing.Algorithm{signing.Ed25519, signing.P256} {
		text, err := signing.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := signing.LoadSigner(write(t, text, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		again, err := signing.ParsePublicKey(signer.Public().PEM())
		if err != nil {
			t.Fatal(err)
		}
		checkSigns(t, signer, again.Key())
		if other, err := signing.GenerateKey(algorithm); err != nil || bytes.Equal(other, text) {
			t.Errorf("%s: the same key twice (%v)", algorithm, err)
		}
	}
	if _, err := signing.GenerateKey("rsa"); err == nil {
		t.Error("an RSA key was made")
	}
}

func TestLoadSignerRefuses(t *testing.T) {
	ed := newEd25519(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	twisted := nixKey(append(ed[:32:32], newEd25519(t)[32:]...))
	tests := []struct {
		name, scheme string
		file         []byte
		mode         os.FileMode
		want         string
	}{
		{"group-readable", "", pkcs8(t, ed), 0o640, "chmod 600"},
		{"world-readable", "", pkcs8(t, ed), 0o604, "chmod 600"},
		{"world-readable, Nix", "nix:", nixKey(ed), 0o644, "chmod 600"},
		{"world-readable, OpenSSH", "ssh:", openSSH(t, ed, ""), 0o644, "chmod 600"},
		{"no PEM", "", []byte("hello"), 0o600, "nix: and ssh: name the other key formats"},
		{"OpenSSH without ssh:", "", openSSH(t, ed, ""), 0o600, "name it as ssh:FILE"},
		{"public key", "", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}), 0o600, `want "PRIVATE KEY"`},
		{"broken PKCS#8", "", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), 0o600, "asn1"},
		{"RSA", "", pkcs8(t, rsaKey), 0o600, "only Ed25519 and ECDSA P-256"},
		{"P-384", "", pkcs8(t, newECDSA(t, elliptic.P384())), 0o600, "only P-256"},
		{"Nix without name", "nix:", []byte(base64.StdEncoding.EncodeToString(ed)), 0o600, "name:base64"},
		{"Nix public key", "nix:", []byte("x:" + base64.StdEncoding.EncodeToString(ed[32:])), 0o600, "holds 64 bytes"},
		{"Nix, two halves", "nix:", twisted, 0o600, "does not belong to its secret half"},
		{"OpenSSH encrypted", "ssh:", openSSH(t, ed, "secret"), 0o600, "load it into ssh-agent"},
		{"OpenSSH RSA", "ssh:", openSSH(t, rsaKey, ""), 0o600, "only Ed25519 and ECDSA P-256"},
		{"not OpenSSH", "ssh:", []byte("hello"), 0o600, "no key found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := signing.LoadSigner(tt.scheme + write(t, tt.file, tt.mode))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(ed[:8])) {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
	if _, err := signing.LoadSigner(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file was loaded")
	}
	// A file's name may look like a scheme.
	odd := filepath.Join(t.TempDir(), "a:b")
	if err := os.WriteFile(odd, pkcs8(t, ed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.LoadSigner(odd); err != nil {
		t.Error(fmt.Errorf("%s: %w", odd, err))
	}
}
