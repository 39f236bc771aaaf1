package writer

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/durable"
)

// A Key signs the checkpoints of one log, and is the verifier of them too. Its
// name is the log's origin.
type Key struct {
	note.Signer
	verifier note.Verifier
	text     string
}

// Verifier checks what the key signed.
func (k *Key) Verifier() note.Verifier { return k.verifier }

// String returns the public key as golang.org/x/mod/sumdb/note writes it
// ("origin+hash+key"): what readers of the log pin.
func (k *Key) String() string { return k.text }

// LoadKey reads a log's key from a file that is there.
func LoadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	key, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading log key from %s: %w", path, err)
	}
	return key, nil
}

// LoadOrCreateKey reads a log's key from a file, or makes a new one there,
// readable by the owner only. The file holds one line, a signer key of
// golang.org/x/mod/sumdb/note. The origin names the log for all time: a host
// name and path without a scheme, like "repro.example.org/log".
func LoadOrCreateKey(path, origin string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path, origin)
	}
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("reading log key: others may read %s (mode %04o): anybody who did can sign for this log; if nobody has, run: chmod 600 %s", path, mode, path)
	}
	key, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading log key from %s: %w", path, err)
	}
	if key.Name() != origin {
		return nil, fmt.Errorf("reading log key: %s is the key of the log %q, not %q: a log's origin cannot change", path, key.Name(), origin)
	}
	return key, nil
}

func createKey(path, origin string) (*Key, error) {
	text, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	key, err := parseKey(text) // refuses an origin that is no name
	if err != nil {
		return nil, fmt.Errorf("making log key for origin %q: %w", origin, err)
	}
	if err := durable.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	return key, nil
}

// parseKey reads "PRIVATE+KEY+name+hash+base64(1 ‖ seed)".
func parseKey(text string) (*Key, error) {
	signer, err := note.NewSigner(text)
	if err != nil {
		return nil, err
	}
	fields := strings.SplitN(text, "+", 5) // base 64 may contain a "+" itself
	secret, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(secret) != 1+ed25519.SeedSize {
		return nil, errors.New("not an Ed25519 key")
	}
	public, ok := ed25519.NewKeyFromSeed(secret[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	verifierKey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, err
	}
	return &Key{Signer: signer, verifier: verifier, text: verifierKey}, nil
}
