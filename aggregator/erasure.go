package aggregator

import (
	"context"
	"fmt"
	"strings"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/ledger"
)

// Erase implements [admin.Service].
func (a *Aggregator) Erase(ctx context.Context, attachment attestation.Digest, reason string) (uint64, error) {
	return a.ingest.Erase(ctx, &enrolment.Erasure{Attachment: attachment, Reason: reason}, a.ledger.attachments)
}

// eraseAgain deletes what the entries from ≤ index < to erased: the process may
// have ended between such an entry and the deletion.
func (a *Aggregator) eraseAgain(ctx context.Context, from, to uint64) error {
	sums, err := a.ledger.Erasures(ctx, from, to)
	if err != nil {
		return fmt.Errorf("looking for erasures: %w", err)
	}
	for _, sum := range sums {
		if err := a.ledger.attachments.Erase(ledger.AttachmentID(sum)); err != nil {
			return err
		}
	}
	return nil
}

// erasedFile reports whether a path below that of the ledger is of an attachment
// that was erased.
func (a *Aggregator) erasedFile(path string) bool {
	name, ok := strings.CutPrefix(path, attachmentsPath)
	if !ok {
		return false
	}
	sum, err := attestation.ParseDigest(name)
	return err == nil && a.ledger.attachments.Erased(ledger.AttachmentID(sum))
}

const attachmentsPath = "/attachments/sha256/"
