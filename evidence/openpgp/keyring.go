package openpgp

import "slices"

// A Lookup returns the certificates that were enrolled for a project and have a
// key with the id, or none. It may be called from several goroutines. The answer
// is compared with signatures, so one certificate too many does no harm.
type Lookup func(project string, keyID uint64) []*Certificate

// A Keyring holds the certificates of one project. It is immutable.
type Keyring struct {
	project      string
	byKeyID      map[uint64][]*Certificate
	certificates []*Certificate
}

// NewKeyring makes a keyring. Editions of one certificate are merged, as public
// repositories often hold a key twice: the latest self-signatures and all
// revocations hold.
func NewKeyring(project string, certificates ...*Certificate) *Keyring {
	k := &Keyring{project: project, byKeyID: map[uint64][]*Certificate{}}
	for _, c := range certificates {
		i := slices.IndexFunc(k.certificates, func(known *Certificate) bool { return known.fingerprint == c.fingerprint })
		if i < 0 {
			k.certificates = append(k.certificates, c)
		} else {
			k.certificates[i] = merge(k.certificates[i], c)
		}
	}
	for _, c := range k.certificates {
		for _, id := range c.signers() {
			if !slices.Contains(k.byKeyID[id], c) {
				k.byKeyID[id] = append(k.byKeyID[id], c)
			}
		}
	}
	return k
}

// Certificates returns the certificates, each primary key once, in the order in
// which they were first given. A merged one has the packets of all its editions.
func (k *Keyring) Certificates() []*Certificate { return slices.Clone(k.certificates) }

// Lookup implements [Lookup].
func (k *Keyring) Lookup(project string, keyID uint64) []*Certificate {
	if project != k.project {
		return nil
	}
	return k.byKeyID[keyID]
}
