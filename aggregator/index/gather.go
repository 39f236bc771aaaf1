package index

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// An item is an entry on its way into the tables.
type item struct {
	index      uint64
	receivedAt time.Time
	kind       ledger.Kind
	body       []byte // nil once an attestation or a document was opened

	said    reading.Said // nil of what moves nothing here
	builder uint32       // of a statement
	ids     []attestation.OutputID

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
		if err == nil {
			err = reading.Known(index, entry)
		}
		if errors.Is(err, reading.ErrNewerRules) && len(items) > 0 {
			return items, nil, verify() // and is stopped at by the next batch
		}
		if err != nil {
			return nil, nil, err
		}
		it := &item{index: index, receivedAt: entry.ReceivedAt, kind: entry.Kind, body: entry.Body, builder: store.NoBuilder}
		if changesRoster(it.kind) || it.kind == ledger.PackageSet {
			if err := verify(); err != nil { // under the keys as they are before this entry
				return nil, nil, err
			}
			own, err := f.administrative(it, entry)
			switch {
			case err != nil:
				return nil, nil, err
			case own:
				return items, it, nil
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

// changesRoster reports whether entries of a kind may change who counts, or by which
// rules.
func changesRoster(kind ledger.Kind) bool {
	switch kind {
	case ledger.Enrolment, ledger.Revocation, ledger.Erased, ledger.Rules:
		return true
	default:
		return false
	}
}

// administrative reads an entry of the ledger's holder, and applies it unless it has to
// be a batch of its own.
func (f *fold) administrative(it *item, entry *ledger.Entry) (own bool, err error) {
	if it.said, err = reading.Administrative(it.index, entry); err != nil {
		return false, err
	}
	switch said := it.said.(type) {
	case *reading.Refused:
		it.ignored = said.Error()
		return it.kind == ledger.PackageSet, nil
	case *reading.Set:
		return true, nil
	case *reading.Erasure:
		if f.takesAway(said) {
			return true, nil
		}
		f.erased[said.Attachment] = struct{}{}
		return false, nil
	case *reading.Rules:
		f.roster.Judge(it.index, uint32(said.Version))
	case *reading.Enrolment:
		own = f.enrolled(said.Builder)
	case *reading.Revocation:
		own = f.enrolled(said.Builder)
	}
	if own {
		return true, nil
	}
	if _, _, err := f.roster.Apply(it.index, it.kind, it.body); err != nil {
		it.ignored = err.Error()
	}
	return false, nil
}

// enrolled reports whether a builder is. Only an entry about one that is can change
// what earlier claims count for.
func (f *fold) enrolled(id signing.BuilderID) bool {
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
				f.open(ctx, it)
			}
		})
	}
	for _, it := range items {
		if it.kind.IsStatement() || reading.IsEvidence(it.kind) {
			work <- it
		}
	}
	close(work)
	workers.Wait()
}

// open opens an attestation or a document under the keys of this place in the ledger.
func (f *fold) open(ctx context.Context, it *item) {
	it.said, it.err = f.reader.Read(ctx, it.index, &ledger.Entry{Kind: it.kind, ReceivedAt: it.receivedAt, Body: it.body})
	it.body = nil
	switch said := it.said.(type) {
	case *reading.Refused:
		it.ignored = said.Error()
	case *reading.Statement:
		it.builder, it.ids = said.Number, said.Outputs
	case *reading.Document:
		if it.ignored = said.Reason(); it.ignored == "" {
			it.ids = said.Outputs
		}
	}
}
