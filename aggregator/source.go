package aggregator

import (
	"context"
	"errors"
	"io/fs"
	"iter"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// A diskLog is a log on this machine's disk: the writer's own, or a checked copy.
type diskLog interface {
	// Size is the number of durable entries.
	Size() uint64
	// Local is the log up to these.
	Local() *ledger.Tree
}

// diskLedger is the ledger as the server's own parts read it: from its own disk,
// up to what is durable.
type diskLedger struct {
	log         diskLog
	attachments *ledger.Attachments
	// fetch brings an attachment here that is not; nil: all are.
	fetch func(ctx context.Context, id ledger.AttachmentID) ([]byte, error)
}

// Size is the number of durable entries.
func (l diskLedger) Size() uint64 { return l.log.Size() }

// Entries yields the entries from ≤ index < to.
func (l diskLedger) Entries(ctx context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
	return func(yield func(*ledger.Entry, error) bool) {
		for record, err := range l.log.Local().Records(ctx, from, to) {
			var entry *ledger.Entry
			if err == nil {
				entry, err = record.Entry()
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

// Entry returns one entry.
func (l diskLedger) Entry(ctx context.Context, index uint64) (*ledger.Entry, error) {
	record, err := l.log.Local().Record(ctx, index)
	if err != nil {
		return nil, err
	}
	return record.Entry()
}

// Attachment returns the bytes that have a SHA-256.
func (l diskLedger) Attachment(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	data, err := l.attachments.Get(ctx, ledger.AttachmentID(sum))
	if l.fetch != nil && errors.Is(err, fs.ErrNotExist) {
		return l.fetch(ctx, ledger.AttachmentID(sum))
	}
	return data, err
}

// Erasures returns the attachments that the entries from ≤ index < to erased.
func (l diskLedger) Erasures(ctx context.Context, from, to uint64) ([]attestation.Digest, error) {
	return reading.Erasures(l.log.Local().Records(ctx, from, to))
}
