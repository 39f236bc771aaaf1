package ingest

import (
	"context"
	"fmt"
	"sync/atomic"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// maxRefused is how much of one request is checked in vain: what comes after so many refusals
// is not looked at.
const maxRefused = 64

// A Batch is what comes in one request.
type Batch struct {
	in      *Ingest
	network string // from which it comes, "" of those that are not told apart
	folds   bool   // see Folding
	refused atomic.Int32
}

// Batch returns a batch from a network, as package fair names it: those who check statements
// of a network that sends much wait behind those of others.
func (in *Ingest) Batch(network string) *Batch { return &Batch{in: in, network: network} }

// Folding has the batch's statements written in entries of version 2, which who sent it has to
// read in their receipts, and returns the batch.
func (b *Batch) Folding(folds bool) *Batch {
	b.folds = folds
	return b
}

// Submit is [Batch.Submit] of a batch of one.
func (in *Ingest) Submit(ctx context.Context, bundle []byte) (index uint64, duplicate bool, err error) {
	return in.Batch("").Submit(ctx, bundle)
}

// SubmitEvidence is [Batch.SubmitEvidence] of a batch of one.
func (in *Ingest) SubmitEvidence(ctx context.Context, kind ledger.Kind, body []byte) (*Kept, error) {
	return in.Batch("").SubmitEvidence(ctx, kind, body)
}

// checking waits for a place to check signatures at, which leave gives back: at most as
// many are checked at once as there are processors, since a parsed statement takes several
// times the memory of its bytes. It fails if too much of the batch was refused already.
func (b *Batch) checking(ctx context.Context, party string, size int) (leave func(), err error) {
	if err := b.in.verifying.Acquire(ctx, party, 1, float64(checkCost+size)); err != nil {
		return nil, b.in.problem(api.ProblemTryLater, "The check did not come to its turn: send this again later.")
	}
	leave = func() { b.in.verifying.Release(party, 1) }
	if b.refused.Load() >= maxRefused {
		leave()
		return nil, b.in.problem(api.ProblemTryLater,
			fmt.Sprintf("%d lines of this request were refused, so the others were not looked at: send them again without those.", maxRefused))
	}
	return leave, nil
}

// party is whose turn it is when a bundle's is: the network's; where networks are not told
// apart, that of the enrolled builder whose it seems to be. A sender that names another's
// shares that one's turns, and nobody else's.
func (b *Batch) party(bundle []byte) string {
	if b.network != "" {
		return b.network
	}
	id := signing.HintedBuilder(bundle)
	if _, enrolled := b.in.roster.Builder(id); !enrolled {
		return ""
	}
	return string(id)
}

// checkCost is what the check of a signature costs, in bytes that are parsed in that time.
const checkCost = 4 << 10

// refuse counts what was checked in vain.
func (b *Batch) refuse(err error) error {
	b.refused.Add(1)
	return err
}
