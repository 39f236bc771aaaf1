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
// log is read.
func textsOf(tree *ledger.Tree) func(context.Context, attestation.Digest) ([]byte, error) {
	return func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
		return tree.Attachment(ctx, ledger.AttachmentID(sum))
	}
}

// fetchTexts brings the texts of the documents from an index of a tree on into the
// mirror, which is to answer without the network.
func (m *Mirror) fetchTexts(ctx context.Context, fetch ledger.Fetcher, tree *ledger.Tree, from uint64) error {
	kinds := reading.TextKinds()
	for record, err := range tree.Records(ctx, from, tree.Size()) {
		if err != nil {
			return err
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
		if _, err := m.attachments.Get(ctx, id); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		text, err := ledger.FetchAttachment(ctx, fetch, id)
		if err == nil {
			_, err = m.attachments.Put(bytes.NewReader(text))
		}
		if err != nil {
			return fmt.Errorf("fetching the text of the document at ledger index %d: %w", record.Index, err)
		}
	}
	return nil
}
