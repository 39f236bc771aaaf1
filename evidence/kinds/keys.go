package kinds

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/evidence/openpgp"
	"repronet/ledger"
	"repronet/signing"
	"repronet/signing/keys"
)

// Attachments returns the bytes that have a SHA-256. An error that wraps
// ledger.ErrErased says that the ledger took them away.
type Attachments func(ctx context.Context, sum attestation.Digest) ([]byte, error)

// Roster says who may sign what. enrolment.Roster is one.
type Roster interface {
	// Certificates returns the attachments enrolled for a project, in order. A
	// later answer only ever adds to an earlier one.
	Certificates(project string) []attestation.Digest
	// Caches returns the builders that sign narinfo by a name.
	Caches(name string) []enrolment.Builder
	Builder(id keys.BuilderID) (enrolment.Builder, bool)
	// Keyless returns the builder of an identity.
	Keyless(who signing.Identity) (enrolment.Builder, bool)
}

// Keys are the keys of a roster, as it is when they are asked for. It may be used
// from several goroutines.
type Keys struct {
	roster      Roster
	attachments Attachments

	mu     sync.Mutex // guards what follows
	rings  map[string]*ring
	parsed map[attestation.Digest][]*openpgp.Certificate
	roots  map[attestation.Digest]*signing.TrustedRoot // nil: erased, or none
}

// ring is the keyring of a project, made from so many attachments.
type ring struct {
	*openpgp.Keyring
	size int
}

// Erase forgets an attachment that the ledger took away just now.
func (k *Keys) Erase(sum attestation.Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.parsed, sum)
	delete(k.roots, sum)
	clear(k.rings)
}

// NewKeys returns the keys of a roster whose certificates are in attachments.
func NewKeys(roster Roster, attachments Attachments) *Keys {
	return &Keys{
		roster: roster, attachments: attachments, rings: map[string]*ring{},
		parsed: map[attestation.Digest][]*openpgp.Certificate{}, roots: map[attestation.Digest]*signing.TrustedRoot{},
	}
}

// Certificate returns the certificate that an enrolment names, or why there is
// none.
func (k *Keys) Certificate(ctx context.Context, e *enrolment.OpenPGP) (*openpgp.Certificate, error) {
	data, err := k.attachments(ctx, e.Certificate)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of %s: %w", e.Fingerprint, err)
	}
	certificates, err := openpgp.ParseCertificates(data)
	if err != nil {
		return nil, err
	}
	if len(certificates) != 1 || certificates[0].Fingerprint() != e.Fingerprint {
		return nil, fmt.Errorf("attachment %s is not the one certificate with the fingerprint %s", e.Certificate.Hex(), e.Fingerprint)
	}
	return certificates[0], nil
}

// ring returns the keyring of a project.
func (k *Keys) ring(ctx context.Context, project string) (*openpgp.Keyring, error) {
	sums := k.roster.Certificates(project)
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.rings[project]; ok && r.size == len(sums) {
		return r.Keyring, nil
	}
	var certificates []*openpgp.Certificate
	for _, sum := range sums {
		parsed, err := k.parse(ctx, sum)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, parsed...)
	}
	r := &ring{openpgp.NewKeyring(project, certificates...), len(sums)}
	if len(sums) > 0 { // names of projects come from anybody
		k.rings[project] = r
	}
	return r.Keyring, nil
}

// parse reads an attachment. One that was erased, or holds nothing usable, gives
// no certificate; that it cannot be had now is an error, because every reader of
// the ledger must come to the same end.
func (k *Keys) parse(ctx context.Context, sum attestation.Digest) ([]*openpgp.Certificate, error) {
	if parsed, ok := k.parsed[sum]; ok {
		return parsed, nil
	}
	data, err := k.attachments(ctx, sum)
	if err != nil && !errors.Is(err, ledger.ErrErased) {
		return nil, fmt.Errorf("reading certificate %s: %w", sum.Hex(), err)
	}
	parsed, err := openpgp.ParseCertificates(data)
	if err != nil || len(parsed) != 1 {
		parsed = nil
	}
	k.parsed[sum] = parsed
	return parsed, nil
}

// certified reports whether an attachment holds the certificate that an enrolment
// says it does.
func (k *Keys) certified(e enrolment.OpenPGP) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	parsed := k.parsed[e.Certificate]
	return len(parsed) == 1 && parsed[0].Fingerprint() == e.Fingerprint
}

// caches returns the keys that are known by a name.
func (k *Keys) caches(name string) []signing.Key {
	builders := k.roster.Caches(name)
	found := make([]signing.Key, len(builders))
	for i, b := range builders {
		found[i] = b.Key
	}
	return found
}
