package aggregator

import (
	"context"
	"fmt"

	"repronet.dev/ledger"
)

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
