package aggregator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"repronet.dev/internal/durable"
)

// pseudonymOperator fits what package joining names operators behind identities.
var pseudonymOperator = regexp.MustCompile(`^id-[a-z2-7]{24}$`)

// pseudonymsFact is the name under which the state knows which secret is in use.
const pseudonymsFact = "pseudonyms.key"

// pseudonyms opens the secret from which the names of identities' operators are made. The
// roster has to be complete.
func (a *Aggregator) pseudonyms(ctx context.Context) ([]byte, error) {
	known, err := a.state.Fact(ctx, pseudonymsFact)
	if err != nil {
		return nil, err
	}
	s := secretFile{path: filepath.Join(a.config.Data, "pseudonyms.key"), known: known, replace: a.config.NewPseudonyms}
	for b := range a.roster.All() {
		s.named = s.named || pseudonymOperator.MatchString(b.Operator)
	}
	secret, err := s.open()
	if err != nil {
		return nil, err
	}
	if now := fingerprint(secret); now != known {
		return secret, a.state.KeepFact(ctx, pseudonymsFact, now)
	}
	return secret, nil
}

// A secretFile holds 32 random bytes, as hexadecimal digits. Once an operator is named by
// them they must stay the same: with others an identity that is enrolled would come back
// as another operator, and agree with itself.
type secretFile struct {
	path    string
	known   string // fingerprint of the secret that was in use last; "" if that is not known
	named   bool   // the ledger has an operator that is named by a pseudonym
	replace bool   // the operator of the aggregator accepts that pseudonyms change
}

// open reads the secret, or makes it where it may be a new one.
func (s *secretFile) open() ([]byte, error) {
	const remedy = "restore it from a backup; only if it is lost for good, start once with 'serve --new-pseudonyms', and vouch for no identity that was enrolled before under another name"
	mayChange := s.replace || !s.named
	text, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && mayChange:
		secret := make([]byte, 32)
		rand.Read(secret)
		return secret, durable.WriteFile(s.path, []byte(hex.EncodeToString(secret)+"\n"), 0o600)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing, and the ledger has operators whose names were made with it: %s", s.path, remedy)
	case err != nil:
		return nil, fmt.Errorf("reading the secret of pseudonyms: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("reading the secret of pseudonyms: %s does not hold 64 hexadecimal digits: restore it from a backup", s.path)
	}
	if s.known != "" && s.known != fingerprint(secret) && !mayChange {
		return nil, fmt.Errorf("%s is not the one with which the ledger's operators were named: %s", s.path, remedy)
	}
	return secret, nil
}

// fingerprint tells one secret from another, and nothing else of it.
func fingerprint(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("fingerprint"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
