package reading

import (
	"context"
	"errors"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// ErrUnknownIdentity is wrapped where no builder has a rule that matches.
var ErrUnknownIdentity = fmt.Errorf("%w by this identity", signing.ErrUnknownBuilder)

// keyless is the [sigstore.KeylessLookup] of the roster: statements of keyless
// builders need an attachment too.
func (r *Reader) keyless(ctx context.Context, who signing.Identity) (sigstore.Keyless, error) {
	b, ok := r.roster.Keyless(who)
	switch {
	case !ok:
		return sigstore.Keyless{}, fmt.Errorf("%w: %s", ErrUnknownIdentity, who)
	case b.Revoked:
		return sigstore.Keyless{}, fmt.Errorf("%w: builder %s was revoked from ledger index %d on", signing.ErrKeyNotValid, b.ID, b.RevokedFrom)
	}
	root, err := r.root(ctx, b.Keyless.TrustedRoot)
	if err != nil {
		return sigstore.Keyless{}, err
	}
	if root == nil {
		return sigstore.Keyless{}, fmt.Errorf("%w: the trusted root of builder %s is none", signing.ErrKeyNotValid, b.ID)
	}
	return sigstore.Keyless{Builder: b.ID, Root: root, NotBefore: b.Key.NotBefore, NotAfter: b.Key.NotAfter}, nil
}

// TrustedRoot returns the trusted root that an enrolment names, or why there is
// none.
func (r *Reader) TrustedRoot(ctx context.Context, e *enrolment.Keyless) (*sigstore.TrustedRoot, error) {
	data, err := r.attachments(ctx, e.TrustedRoot)
	if err != nil {
		return nil, unavailable("the trusted root", err)
	}
	return sigstore.ParseTrustedRoot(data)
}

// root returns the trusted root in an attachment, nil where it holds none or was
// erased. That it cannot be had now is an error, as of certificates.
func (r *Reader) root(ctx context.Context, sum attestation.Digest) (*sigstore.TrustedRoot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if root, ok := r.roots[sum]; ok {
		return root, nil
	}
	data, err := r.attachments(ctx, sum)
	if err != nil && !errors.Is(err, ledger.ErrErased) {
		return nil, unavailable("trusted root "+sum.Hex(), err)
	}
	root, err := sigstore.ParseTrustedRoot(data)
	if err != nil {
		root = nil
	}
	r.roots[sum] = root
	return root, nil
}
