package index

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/enrolment"
	"repronet/evidence/kinds"
	"repronet/ledger"
	"repronet/signing"
)

// An item is an entry on its way into the tables.
type item struct {
	index      uint64
	receivedAt time.Time
	kind       ledger.Kind
	body       []byte

	// Of an attestation that verified:
	statement *attestation.Statement
	payload   attestation.Digest
	builder   uint32
	ids       []attestation.OutputID // of the subjects; none for failures

	// Of third-party evidence that counts, in whose name. ids are of its rows.
	evidence *kinds.Evidence
	signers  []signer

	ignored string // why it moves nothing
	err     error  // why it cannot be read now
}

// chunk is how many attestations are verified between two looks at the batch's
// size: a statement's size is known only when it was opened.
const chunk = 64

// gather reads and verifies the entries of the next batch, at most up to
// (exclusively) the index to, and applies first enrolments. An entry that must be
// a batch of its own comes back as barrier, if it follows the items directly.
func (f *fold) gather(ctx context.Context, to uint64) (items []*item, barrier *item, err error) {
	index := f.watermark.Size
	verified, observations := 0, 0
	verify := func() error {
		f.verify(ctx, items[verified:])
		for _, it := range items[verified:] {
			if it.err != nil {
				return fmt.Errorf("ledger index %d: %w", it.index, it.err)
			}
			observations += len(it.ids)
		}
		verified = len(items)
		return nil
	}
	for entry, err := range f.ledger.Entries(ctx, index, to) {
		if err != nil {
			return nil, nil, err
		}
		it := &item{index: index, receivedAt: entry.ReceivedAt, kind: entry.Kind, body: entry.Body, builder: store.NoBuilder}
		switch entry.Kind {
		case ledger.PackageSet:
			return items, it, verify()
		case ledger.Erased:
			if err := verify(); err != nil {
				return nil, nil, err
			}
			if f.takesAway(it.body) {
				return items, it, nil
			}
			if err := f.erase(it.kind, it.body); err != nil {
				it.ignored = err.Error()
			}
			verified++
		case ledger.Enrolment, ledger.Revocation:
			if err := verify(); err != nil { // under the keys as they are before this entry
				return nil, nil, err
			}
			if f.concernsEarlier(it) {
				return items, it, nil
			}
			if _, _, err := f.roster.Apply(index, it.kind, it.body); err != nil {
				it.ignored = err.Error()
			}
			verified++
		}
		items = append(items, it)
		index++
		if len(items)-verified >= chunk {
			if err := verify(); err != nil {
				return nil, nil, err
			}
		}
		if observations >= f.config.MaxObservations {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if len(items) == 0 {
		return nil, nil, errors.New("the ledger yields no entries before its size")
	}
	return items, nil, verify()
}

// concernsEarlier reports whether applying the entry can change what earlier
// claims count for: only those of a builder that is enrolled can.
func (f *fold) concernsEarlier(it *item) bool {
	var id signing.BuilderID
	if it.kind == ledger.Enrolment {
		e, _, err := enrolment.ParseEnrolment(it.body)
		if err != nil {
			return false
		}
		id = e.Builder
	} else {
		r, err := enrolment.ParseRevocation(it.body)
		if err != nil {
			return false
		}
		id = r.Builder
	}
	_, known := f.roster.Builder(id)
	return known
}

// verify opens the attestations and the evidence among the items, on all cores.
func (f *fold) verify(ctx context.Context, items []*item) {
	var workers sync.WaitGroup
	work := make(chan *item)
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		workers.Go(func() {
			for it := range work {
				if it.kind == ledger.Attestation {
					f.open(ctx, it)
				} else {
					f.openEvidence(ctx, it)
				}
			}
		})
	}
	for _, it := range items {
		if it.kind == ledger.Attestation || slices.Contains(kinds.Kinds(), it.kind) {
			work <- it
		}
	}
	close(work)
	workers.Wait()
}

func (f *fold) open(ctx context.Context, it *item) {
	v, err := signing.OpenAny(ctx, it.body, f.roster.Lookup, f.keys.Keyless, it.receivedAt)
	it.body = nil
	switch {
	case err == nil:
	case signing.IsRefusal(err):
		it.ignored = err.Error()
		return
	default:
		it.err = err
		return
	}
	builder, ok := f.roster.Builder(v.Builder())
	if !ok {
		it.ignored = signing.ErrUnknownBuilder.Error()
		return
	}
	it.statement, it.payload, it.builder = v.Statement(), v.PayloadDigest(), builder.Number
	if it.statement.Type == attestation.BuildFailed {
		return
	}
	it.ids = make([]attestation.OutputID, len(it.statement.Subjects))
	for i, s := range it.statement.Subjects {
		it.ids[i] = attestation.NewOutputID(it.statement.Ecosystem, s.Name)
	}
}
