package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"repronet/attestation"
	"repronet/ledger"
)

// RosterEntries returns the ledger indices of all enrolments and revocations in
// the mirror, ascending.
func (m *Mirror) RosterEntries() ([]uint64, error) { return m.index.all(rosterFile) }

// Attachments returns a reader of the attachments that entries of the mirrored
// ledger name. One that is not in the mirror yet is fetched, checked and kept;
// fetch may be nil.
func (m *Mirror) Attachments(fetch ledger.Fetcher) (func(context.Context, attestation.Digest) ([]byte, error), error) {
	kept, err := ledger.OpenAttachments(filepath.Join(m.dir, "log"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
		data, err := kept.Get(ctx, ledger.AttachmentID(sum))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
		if fetch == nil {
			return nil, fmt.Errorf("attachment %s is not in the mirror: name an aggregator to fetch it from", sum.Hex())
		}
		if data, err = ledger.FetchAttachment(ctx, fetch, ledger.AttachmentID(sum)); err != nil {
			return nil, err
		}
		_, err = kept.Put(bytes.NewReader(data))
		return data, err
	}, nil
}
