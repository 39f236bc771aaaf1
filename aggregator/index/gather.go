package index

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/enrolment"
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

	ignored string // why it moves nothing
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
	verify := func() {
		f.verify(items[verified:])
		for _, it := range items[verified:] {
			observations += len(it.ids)
		}
		verified = len(items)
	}
	for entry, err := range f.ledger.Entries(ctx, index, to) {
		if err != nil {
			return nil, nil, err
		}
		it := &item{index: index, receivedAt: entry.ReceivedAt, kind: entry.Kind, body: entry.Body, builder: store.NoBuilder}
		switch entry.Kind {
		case ledger.PackageSet:
			verify()
			return items, it, nil
		case ledger.Enrolment, ledger.Revocation:
			verify() // under the keys as they are before this entry
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
			verify()
		}
		if observations >= f.config.MaxObservations {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	verify()
	if len(items) == 0 {
		return nil, nil, errors.New("the ledger yields no entries before its size")
	}
	return items, nil, nil
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

// verify opens the attestations among the items, on all cores.
func (f *fold) verify(items []*item) {
	var workers sync.WaitGroup
	work := make(chan *item)
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		workers.Go(func() {
			for it := range work {
				f.open(it)
			}
		})
	}
	for _, it := range items {
		if it.kind == ledger.Attestation {
			work <- it
		}
	}
	close(work)
	workers.Wait()
}

func (f *fold) open(it *item) {
	v, err := signing.Open(it.body, f.roster.Lookup, it.receivedAt)
	it.body = nil
	if err != nil {
		it.ignored = err.Error()
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
