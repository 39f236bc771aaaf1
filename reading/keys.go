package reading

import (
	"context"
	"errors"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
)

// ring is the keyring of a project, made from so many attachments.
type ring struct {
	*openpgp.Keyring
	size int
}

// Erase forgets an attachment that the ledger took away just now.
func (r *Reader) Erase(sum attestation.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parsed, sum)
	delete(r.roots, sum)
	clear(r.rings)
}

// Certificate returns the certificate that an enrolment names, or why there is
// none.
func (r *Reader) Certificate(ctx context.Context, e *enrolment.OpenPGP) (*openpgp.Certificate, error) {
	data, err := r.attachments(ctx, e.Certificate)
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
func (r *Reader) ring(ctx context.Context, project string) (*openpgp.Keyring, error) {
	sums := r.roster.Certificates(project)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.rings[project]; ok && known.size == len(sums) {
		return known.Keyring, nil
	}
	var certificates []*openpgp.Certificate
	for _, sum := range sums {
		parsed, err := r.parse(ctx, sum)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, parsed...)
	}
	keys := openpgp.NewKeyring(project, certificates...)
	if len(sums) > 0 { // names of projects come from anybody
		r.rings[project] = &ring{keys, len(sums)}
	}
	return keys, nil
}

// parse reads an attachment. One that was erased, or holds nothing usable, gives
// no certificate; that it cannot be had now is an error, because every reader of
// the ledger must come to the same end.
func (r *Reader) parse(ctx context.Context, sum attestation.Digest) ([]*openpgp.Certificate, error) {
	if parsed, ok := r.parsed[sum]; ok {
		return parsed, nil
	}
	data, err := r.attachments(ctx, sum)
	if err != nil && !errors.Is(err, ledger.ErrErased) {
		return nil, unavailable("certificate "+sum.Hex(), err)
	}
	parsed, err := openpgp.ParseCertificates(data)
	if err != nil || len(parsed) != 1 {
		parsed = nil
	}
	r.parsed[sum] = parsed
	return parsed, nil
}

// certified reports whether an attachment holds the certificate that an enrolment
// says it does.
func (r *Reader) certified(e enrolment.OpenPGP) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	parsed := r.parsed[e.Certificate]
	return len(parsed) == 1 && parsed[0].Fingerprint() == e.Fingerprint
}
