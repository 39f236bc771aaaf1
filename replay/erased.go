package replay

import (
	"context"
	"errors"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// erased returns the attachments that the entries to replay erased. It is what a
// replay begins with: they were never there.
func (l *Ledger) erased(ctx context.Context) (map[attestation.Digest]struct{}, error) {
	sums := map[attestation.Digest]struct{}{}
	for _, n := range l.Erased {
		if n >= l.Size {
			break
		}
		record, err := l.Tree.Record(ctx, n)
		if err != nil {
			return nil, err
		}
		entry, err := record.Entry()
		if err != nil {
			return nil, err
		}
		if e, ok := reading.As[*reading.Erasure](n, entry); ok { // else it moves nothing, for any reader
			sums[e.Attachment] = struct{}{}
		}
	}
	return sums, nil
}

// certificate returns an attachment that decides whose evidence counts.
func (r *Replay) certificate(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	if _, erased := r.erased[sum]; erased {
		return nil, ledger.ErrErased
	}
	data, err := r.config.Attachment(ctx, sum)
	if errors.Is(err, ledger.ErrErased) {
		return nil, fmt.Errorf("attachment %s was erased after the %d entries that are replayed: compare again when the aggregator has indexed that", sum.Hex(), r.Size)
	}
	return data, err
}

// members returns the attachment with a package set's members, which no entry may
// erase.
func (r *Replay) members(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	data, err := r.config.Attachment(ctx, sum)
	if errors.Is(err, ledger.ErrErased) {
		return nil, fmt.Errorf("%w: the contents of a package set were erased: %w", ledger.ErrInvalid, err)
	}
	return data, err
}
