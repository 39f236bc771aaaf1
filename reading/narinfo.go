package reading

import (
	"context"
	"crypto/sha256"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// peekNarinfo reads the file of a Nix binary cache.
func peekNarinfo(body []byte) (*Named, error) {
	info, err := narinfo.Parse(body)
	if err != nil {
		return nil, err
	}
	return &Named{Ecosystem: ecosystem.Nix, Outputs: []string{info.StorePath}}, nil
}

func openNarinfo(_ context.Context, r *Reader, body []byte, at when) (*Document, error) {
	v, err := narinfo.Open(body, r.caches, at.received)
	if err != nil {
		return nil, err
	}
	if len(v.Signatures()) == 0 {
		return nil, fmt.Errorf("%w narinfo: it has no signature, and says nothing that could be checked", narinfo.ErrMalformed)
	}
	byName := v.Info().CA == "" && ecosystem.ProvenByName(v.Info().StorePath, v.Info().NarHash, v.Info().References)
	d := &Document{
		Kind: ledger.Narinfo, Ecosystem: ecosystem.Nix, DigestKind: attestation.NAR, fixed: v.Info().CA != "",
		Rows: []Row{{v.Output(), []attestation.Digest{v.Digest()}}},
	}
	switch {
	case byName && at.rules >= ByName:
		d.fixed = true
	case byName:
		d.Needs = ByName
	}
	said := sha256.Sum256(v.Info().Fingerprint())
	for _, s := range v.Signatures() {
		d.sign(r, Signer{Builder: s.Builder, State: s.State, Reason: s.Reason}, func(signer Signer) string {
			return fmt.Sprintf("%x %s %s %t", said, signer.Builder, s.Name, d.fixed)
		})
	}
	return d.complete(), nil
}

// caches returns the keys that are known by a name.
func (r *Reader) caches(name string) []signing.Key {
	builders := r.roster.Caches(name)
	found := make([]signing.Key, len(builders))
	for i, b := range builders {
		found[i] = b.Key
	}
	return found
}
