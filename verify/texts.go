package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// textsOf reads the texts of documents that are attachments to a log from where the
// log is read. One that an entry erased was never there.
func textsOf(tree *ledger.Tree, erased map[attestation.Digest]struct{}) func(context.Context, attestation.Digest) ([]byte, error) {
	return func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
		if _, gone := erased[sum]; gone {
			return nil, ledger.ErrErased
		}
		return tree.Attachment(ctx, ledger.AttachmentID(sum))
	}
}

// lack is a text that could not be had.
type lack struct {
	index uint64 // of the document
	text  ledger.AttachmentID
	err   error
}

// fetchTexts brings the texts that the mirror lacks of the documents in a tree into it: it
// is to answer without the network. One that is not there does not keep it from those after
// it. Whether an entry that is not indexed yet erased it, keepTexts looks.
func (m *Mirror) fetchTexts(ctx context.Context, fetch ledger.Fetcher, tree *ledger.Tree) (lacking []lack, err error) {
	kinds := reading.TextKinds()
	for record, err := range tree.Records(ctx, m.index.texts, tree.Size()) {
		if err != nil {
			return nil, m.replica.Damaged(err)
		}
		if !slices.Contains(kinds, record.Kind()) {
			continue
		}
		entry, err := record.Entry()
		if err != nil {
			continue // moves nothing, for any reader
		}
		sum, apart := reading.TextOf(entry)
		if !apart {
			continue
		}
		id := ledger.AttachmentID(sum)
		if _, err := m.replica.Attachments.Get(ctx, id); !errors.Is(err, fs.ErrNotExist) {
			continue // it is there, or was erased; what is damaged shows where it is read
		}
		text, err := ledger.FetchAttachment(ctx, fetch, id)
		if err != nil {
			lacking = append(lacking, lack{record.Index, id, err})
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ledger.ErrInvalid) {
				break // the next would fare no better
			}
			continue
		}
		if _, err := m.replica.Attachments.Put(bytes.NewReader(text)); err != nil {
			return nil, err
		}
	}
	return lacking, nil
}

// keepTexts notes which texts the mirror has, for the next update to go on from, and
// reports the first that it lacks although no entry erased it.
func (m *Mirror) keepTexts(lacking []lack) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	lacking = slices.DeleteFunc(lacking, func(l lack) bool { return m.replica.Attachments.Erased(l.text) })
	upTo := m.index.size
	if len(lacking) > 0 {
		upTo = lacking[0].index
	}
	if upTo > m.index.texts {
		m.index.mark(m.index.size, upTo)
	}
	if len(lacking) > 0 {
		return fmt.Errorf("fetching the text of the document at ledger index %d: %w", lacking[0].index, lacking[0].err)
	}
	return nil
}
