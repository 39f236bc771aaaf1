package ingest

import (
	"context"
	"errors"
	"fmt"

	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

// Erasable is where the attachments are.
type Erasable interface {
	Erased(id ledger.AttachmentID) bool
	// Erase deletes an attachment and refuses its bytes from then on.
	Erase(id ledger.AttachmentID) error
}

// Erase writes an erasure to the ledger and then deletes the attachment. It
// refuses what no enrolment names, and what was erased before. An error beside an
// index says that the entry is durable and the file is still there; the next start
// deletes it.
func (in *Ingest) Erase(ctx context.Context, e *enrolment.Erasure, attachments Erasable) (index uint64, err error) {
	body, err := e.Encode()
	if err != nil {
		return 0, err
	}
	id := ledger.AttachmentID(e.Attachment)
	in.admin.Lock()
	defer in.admin.Unlock()
	if attachments.Erased(id) {
		return 0, fmt.Errorf("attachment %s was erased before", e.Attachment.Hex())
	}
	if in.roster.Names(e.Attachment) == enrolment.Unnamed {
		return 0, errors.New("no enrolment names attachment " + e.Attachment.Hex() +
			": only certificates and endorsements of enrolments can be erased, package sets hold nothing about people and are needed to compute verdicts")
	}
	index, err = in.append(context.WithoutCancel(ctx), ledger.Erased, body)
	if err != nil {
		return 0, fmt.Errorf("writing erasure to the ledger: %w", err)
	}
	err = attachments.Erase(id)
	in.reader.Erase(e.Attachment)
	return index, err
}
