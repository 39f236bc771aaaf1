package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"repronet/attestation"
	"repronet/evidence"
	"repronet/evidence/kinds"
	"repronet/internal/wire"
	"repronet/ledger"
)

// Kept is what became of third-party evidence that is in the ledger.
type Kept struct {
	Index     uint64
	Duplicate bool
	State     evidence.State
	Reason    string // why it does not count; empty if it does
}

// Evidence that does not count is kept from anybody, so how much of it is taken
// is bounded: uncountedBurst at once, and one more each uncountedEvery.
const (
	uncountedBurst = 5000
	uncountedEvery = 2 * time.Second
)

// SubmitEvidence judges third-party evidence by the keys of the moment and writes
// it to the ledger, byte for byte. Evidence by a key that is not known is kept
// too, and does not count; what no key could ever have signed is refused.
func (in *Ingest) SubmitEvidence(ctx context.Context, kind ledger.Kind, body []byte) (*Kept, *wire.Problem) {
	if !slices.Contains(kinds.Kinds(), kind) {
		return nil, in.problem(http.StatusBadRequest, "malformed", fmt.Sprintf("Kind %.40q is none of %s.", kind, kinds.Kinds()))
	}
	e, problem := in.openEvidence(ctx, kind, body)
	if problem != nil {
		return nil, problem
	}
	kept := &Kept{State: e.State(), Reason: e.Reason()}
	var err error
	kept.Index, kept.Duplicate, err = in.duplicates.once(ctx, newEvidenceKey(e.ID), func() (uint64, error) {
		if kept.Reason != "" && !in.uncounted.Allow() {
			return 0, errTooMuch
		}
		return in.log.Append(context.WithoutCancel(ctx), kind, body)
	})
	switch {
	case errors.Is(err, errTooMuch):
		return nil, in.problem(http.StatusTooManyRequests, "slow-down", fmt.Sprintf("Much evidence that does not count (%s) came in: send this again later, or have the key enrolled first.", kept.Reason))
	case errors.Is(err, ledger.ErrTooLarge):
		return nil, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("The document is larger than a ledger entry can hold (%d bytes, compressed).", ledger.MaxEntrySize))
	case err != nil:
		in.config.Logger.ErrorContext(ctx, "appending to the ledger", "error", err)
		return nil, in.problem(http.StatusServiceUnavailable, "try-later", "The ledger did not take the document: send it again later.")
	case kept.Duplicate:
		in.metrics.bundles.WithLabelValues("duplicate").Inc()
	case kept.Reason != "":
		in.metrics.bundles.WithLabelValues("uncounted").Inc()
	default:
		in.metrics.bundles.WithLabelValues("accepted").Inc()
		in.metrics.outputs.Add(float64(len(e.Rows)))
	}
	return kept, nil
}

var errTooMuch = errors.New("too much evidence that does not count")

func (in *Ingest) openEvidence(ctx context.Context, kind ledger.Kind, body []byte) (*kinds.Evidence, *wire.Problem) {
	in.verifying <- struct{}{}
	defer func() { <-in.verifying }()
	e, err := in.keys.Open(ctx, kind, body, time.Now())
	switch {
	case kinds.Malformed(err):
		return nil, in.problem(http.StatusBadRequest, "malformed", err.Error())
	case err != nil:
		in.config.Logger.ErrorContext(ctx, "opening evidence", "error", err)
		return nil, in.problem(http.StatusServiceUnavailable, "try-later", "The keys cannot be read now: send the document again later.")
	case e.State() == evidence.Bad:
		return nil, in.problem(http.StatusForbidden, "bad-signature", "No signature of the document verifies: "+e.Reason()+".")
	}
	return e, nil
}

// KnownEvidence notes evidence that the ledger holds at index, by its
// [kinds.Evidence] ID.
func (in *Ingest) KnownEvidence(id attestation.Digest, index uint64) {
	in.duplicates.add(newEvidenceKey(id), index)
}

// newEvidenceKey is the claimKey of third-party evidence, which has no builder of
// its own; a digest is no builder's ID.
func newEvidenceKey(id attestation.Digest) claimKey { return newClaimKey("evidence", id) }
