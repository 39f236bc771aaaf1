package command

import (
	"cmp"
	"fmt"
	"time"

	"repronet.dev/evidence"
	"repronet.dev/evidence/guixsigs"
	"repronet.dev/evidence/openpgp"
)

// usage is what the keys come to that are imported, by the documents beside them: so
// that an operator is told at once of keys of which nothing counts there.
type usage struct {
	project string
	ring    *openpgp.Keyring
	of      map[openpgp.Fingerprint]*use
}

// use is what became of the signatures by a certificate.
type use struct {
	signed int
	counts bool
	others map[evidence.State]openpgp.Signature // one of each
}

func newUsage(project string, certificates []*openpgp.Certificate) *usage {
	return &usage{project, openpgp.NewKeyring(project, certificates...), map[openpgp.Fingerprint]*use{}}
}

// read judges the documents in a directory. What is wrong with one, a relay says.
func (u *usage) read(dir string) error {
	tree, err := guixsigs.OpenLayout(dir, guixsigs.Any)
	if err != nil {
		return err
	}
	defer tree.Close()
	now := time.Now()
	for file := range tree.Files() {
		for _, found := range file.Documents {
			signatures, err := openpgp.OpenSigned(found.Signed(u.project), u.ring.Lookup, now)
			if err != nil {
				continue
			}
			for _, s := range signatures {
				u.add(s)
			}
		}
	}
	return nil
}

func (u *usage) add(s openpgp.Signature) {
	if s.Primary == "" {
		return
	}
	of := u.of[s.Primary]
	if of == nil {
		of = &use{others: map[evidence.State]openpgp.Signature{}}
		u.of[s.Primary] = of
	}
	of.signed++
	if of.counts = of.counts || s.State.Counts(); !s.State.Counts() {
		of.others[s.State] = s
	}
}

// reasons returns, for each certificate that signed some of the documents and none so
// that it counts, why.
func (u *usage) reasons() map[openpgp.Fingerprint]string {
	reasons := map[openpgp.Fingerprint]string{}
	for primary, of := range u.of {
		if of.counts {
			continue
		}
		outside, isOutside := of.others[evidence.OutsideValidity]
		revoked, isRevoked := of.others[evidence.Revoked]
		s := of.others[evidence.Weak]
		if isRevoked {
			s = revoked
		}
		if isOutside {
			s = outside
		}
		reasons[primary] = fmt.Sprintf("none of its %d signatures here counts; that of %s: %s",
			of.signed, s.Created.Format(time.DateOnly), cmp.Or(s.Reason, s.State.String()))
	}
	return reasons
}
