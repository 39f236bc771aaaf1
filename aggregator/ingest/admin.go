package ingest

import (
	"context"
	"fmt"

	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/published"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// Enrol writes an enrolment to the ledger, after which the builder's statements
// are accepted. It refuses what contradicts earlier entries, and writes nothing
// where the builder's newest enrolment is the same: then it returns that one's
// index.
//
// The attachment with a certificate or trusted root has to be durable already.
func (in *Ingest) Enrol(ctx context.Context, e *enrolment.Enrolment) (index uint64, err error) {
	body, err := e.Encode()
	if err != nil {
		return 0, err
	}
	if e.OpenPGP != nil {
		if _, err := in.reader.Certificate(ctx, e.OpenPGP); err != nil {
			return 0, err
		}
	}
	if e.Keyless != nil {
		if _, err := in.reader.TrustedRoot(ctx, e.Keyless); err != nil {
			return 0, err
		}
	}
	return in.administer(ctx, ledger.Enrolment, body)
}

// Revoke writes a revocation to the ledger. From the call's return on, the
// builder's statements are refused; those at index from and later do not count.
// A nil from stands for the end of the ledger: what the builder said before
// stays.
func (in *Ingest) Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (index uint64, err error) {
	r := enrolment.Revocation{Builder: builder, From: enrolment.FromNow, Reason: reason}
	if from != nil {
		r.From = *from
	}
	body, err := r.Encode()
	if err != nil {
		return 0, err
	}
	return in.administer(ctx, ledger.Revocation, body)
}

// PublishSet writes a package set's entry; its attachment is durable already.
func (in *Ingest) PublishSet(ctx context.Context, body []byte) (index uint64, err error) {
	return in.append(ctx, ledger.PackageSet, body)
}

// Roster returns the builders as they are published, and the number of ledger entries:
// no entry among them that concerns the roster is missing in it.
func (in *Ingest) Roster() (builders []api.RosterBuilder, size uint64) {
	in.admin.Lock()
	defer in.admin.Unlock()
	return published.Builders(in.roster), in.log.Size()
}

func (in *Ingest) administer(ctx context.Context, kind ledger.Kind, body []byte) (uint64, error) {
	in.admin.Lock()
	defer in.admin.Unlock()
	if err := in.roster.Check(kind, body); err != nil {
		return 0, err
	}
	if index, repeats := in.roster.Repeats(kind, body); repeats {
		return index, nil
	}
	index, err := in.append(context.WithoutCancel(ctx), kind, body)
	if err != nil {
		return 0, fmt.Errorf("writing %s to the ledger: %w", kind, err)
	}
	if _, _, err := in.roster.Apply(index, kind, body); err != nil {
		return 0, fmt.Errorf("applying %s: %w", kind, err)
	}
	return index, nil
}
