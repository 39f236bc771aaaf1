package kinds

import (
	"context"
	"errors"
	"fmt"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/ledger"
	"repronet/signing"
)

// ErrUnknownIdentity is wrapped where no builder has a rule that matches.
var ErrUnknownIdentity = fmt.Errorf("%w by this identity", signing.ErrUnknownBuilder)

// Keyless is the [signing.KeylessLookup] of the roster: statements of keyless
// builders need an attachment too.
func (k *Keys) Keyless(ctx context.Context, who signing.Identity) (signing.Keyless, error) {
	b, ok := k.roster.Keyless(who)
	switch {
	case !ok:
		return signing.Keyless{}, fmt.Errorf("%w: %s", ErrUnknownIdentity, who)
	case b.Revoked:
		return signing.Keyless{}, fmt.Errorf("%w: builder %s was revoked from ledger index %d on", signing.ErrKeyNotValid, b.ID, b.RevokedFrom)
	}
	root, err := k.root(ctx, b.Keyless.TrustedRoot)
	if err != nil {
		return signing.Keyless{}, err
	}
	if root == nil {
		return signing.Keyless{}, fmt.Errorf("%w: the trusted root of builder %s is none", signing.ErrKeyNotValid, b.ID)
	}
	return signing.Keyless{Builder: b.ID, Root: root, NotBefore: b.Key.NotBefore, NotAfter: b.Key.NotAfter}, nil
}

// TrustedRoot returns the trusted root that an enrolment names, or why there is
// none.
func (k *Keys) TrustedRoot(ctx context.Context, e *enrolment.Keyless) (*signing.TrustedRoot, error) {
	data, err := k.attachments(ctx, e.TrustedRoot)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	return signing.ParseTrustedRoot(data)
}

// root returns the trusted root in an attachment, nil where it holds none or was
// erased. That it cannot be had now is an error, as of certificates.
func (k *Keys) root(ctx context.Context, sum attestation.Digest) (*signing.TrustedRoot, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if root, ok := k.roots[sum]; ok {
		return root, nil
	}
	data, err := k.attachments(ctx, sum)
	if err != nil && !errors.Is(err, ledger.ErrErased) {
		return nil, fmt.Errorf("reading trusted root %s: %w", sum.Hex(), err)
	}
	root, err := signing.ParseTrustedRoot(data)
	if err != nil {
		root = nil
	}
	k.roots[sum] = root
	return root, nil
}
