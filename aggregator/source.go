package aggregator

import (
	"context"
	"iter"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/reading"
)

// ownLedger is the ledger as the server's own parts read it: from its own disk,
// up to what is durable.
type ownLedger struct {
	log         *writer.Log
	attachments *ledger.Attachments
}

// Size is the number of durable entries.
func (l ownLedger) Size() uint64 { return l.log.Size() }

// Entries yields the entries from ≤ index < to.
func (l ownLedger) Entries(ctx context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
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
func (l ownLedger) Entry(ctx context.Context, index uint64) (*ledger.Entry, error) {
	record, err := l.log.Local().Record(ctx, index)
	if err != nil {
		return nil, err
	}
	return record.Entry()
}

// Attachment returns the bytes that have a SHA-256.
func (l ownLedger) Attachment(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	return l.attachments.Get(ctx, ledger.AttachmentID(sum))
}

// Erasures returns the attachments that the entries from ≤ index < to erased.
func (l ownLedger) Erasures(ctx context.Context, from, to uint64) ([]attestation.Digest, error) {
	return reading.Erasures(l.log.Local().Records(ctx, from, to))
}
