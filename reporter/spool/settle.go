package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// An Outcome is what became of a statement of the outbox.
type Outcome struct {
	Item  *Item
	Index uint64 // of the ledger entry whose receipt was verified
	// Receipt is that receipt without the entry, as JSON: what convicts a log that
	// drops the statement later.
	Receipt []byte
	// Leaf is the hash of that entry.
	Leaf tlog.Hash
	// Refusal is the aggregator's reason never to accept the statement; empty
	// for one that is in the ledger.
	Refusal string
}

// Settle records outcomes and takes the statements out of the outbox. What is
// refused is kept in refused/, and the next statement says that it was skipped. Of
// what is in the ledger a copy is kept, see [Writer.Copies].
func (w *Writer) Settle(outcomes []Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	return w.withRoom(func() error { return w.settle(outcomes) })
}

func (w *Writer) settle(outcomes []Outcome) error {
	if err := w.keepReceipts(outcomes); err != nil {
		return fmt.Errorf("keeping receipts: %w", err)
	}
	next := *w.state
	next.Remove = nil
	next.Skipped = slices.Clone(w.state.Skipped)
	for _, o := range outcomes {
		item := *o.Item
		next.advance(&item)
		next.Private += item.Private
		next.Remove = append(next.Remove, filepath.Join(outboxDir, item.name()))
		if o.Refusal != "" {
			if item.Stream == next.Stream {
				next.Skipped = append(next.Skipped, item.Payload)
			}
			item.Reason = o.Refusal
			if err := w.writeItem(refusedDir, &item); err != nil {
				return fmt.Errorf("keeping a refused statement: %w", err)
			}
			continue
		}
		// A statement may have been refused before a crash, and accepted after.
		next.Remove = append(next.Remove, filepath.Join(refusedDir, item.name()))
		next.Skipped = without(next.Skipped, item.Skipped)
		index := o.Index
		if !item.Again {
			next.Acknowledged.Statements++
			next.Acknowledged.Outputs += item.Outputs
		}
		next.Acknowledged.LastIndex = &index
		next.Acknowledged.LastTime = time.Now().UTC().Truncate(time.Second)
	}
	w.keepCopies(outcomes)
	if err := w.commit(&next); err != nil {
		return err
	}
	for _, o := range outcomes {
		delete(w.outbox, o.Item.name())
	}
	return nil
}

// keepReceipts appends the receipts to receipts.jsonl. After a crash some may be
// there twice, or the last in part.
func (w *Writer) keepReceipts(outcomes []Outcome) error {
	lines := []byte{'\n'} // ends what a crash cut off
	for _, o := range outcomes {
		if len(o.Receipt) > 0 {
			lines = append(append(lines, o.Receipt...), '\n')
		}
	}
	if len(lines) == 1 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(w.dir, ReceiptsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReceiptsFile is the file of a spool with a ledger.Inclusion a line for each
// statement that was acknowledged; lines that cannot be read are to be skipped.
const ReceiptsFile = "receipts.jsonl"
