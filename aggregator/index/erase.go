package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// errTakenAway says that an entry erased a certificate by which evidence was
// judged that is in the tables.
var errTakenAway = errors.New("a certificate was erased: the index has to be computed anew")

// foresee reads which attachments the ledger erased, anywhere.
func (f *fold) foresee(ctx context.Context) error {
	sums, err := f.ledger.Erasures(ctx, 0, f.ledger.Size())
	if err != nil {
		return fmt.Errorf("looking for erasures: %w", err)
	}
	for _, sum := range sums {
		f.erased[sum] = struct{}{}
	}
	return nil
}

// takesAway reports whether an erasure changes what earlier entries count for.
func (f *fold) takesAway(e *reading.Erasure) bool {
	_, foreseen := f.erased[e.Attachment]
	return !foreseen && f.roster.Names(e.Attachment) == enrolment.NamedCertificate
}

// attachment returns the bytes of a certificate.
func (f *fold) attachment(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	if _, erased := f.erased[sum]; erased {
		return nil, ledger.ErrErased
	}
	data, err := f.ledger.Attachment(ctx, sum)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ledger.ErrErased) {
		return data, err
	}
	// The ledger may be ahead.
	ahead, failure := f.ledger.Erasures(ctx, f.watermark.Size, f.ledger.Size())
	if failure == nil && slices.Contains(ahead, sum) {
		return nil, errTakenAway
	}
	return nil, errors.Join(fmt.Errorf("attachment %s: %w", sum.Hex(), err), failure)
}

// withoutErased computes the index anew, until nothing is erased meanwhile.
func (x *Index) withoutErased(ctx context.Context) error {
	x.rebuilding.Lock()
	defer x.rebuilding.Unlock()
	x.config.Logger.Info("a certificate was erased: computing the index anew")
	for {
		err := x.catchUp(ctx) // another goroutine may have done it
		if errors.Is(err, errTakenAway) {
			err = x.reindex(ctx)
		}
		if !errors.Is(err, errTakenAway) {
			return err
		}
	}
}
