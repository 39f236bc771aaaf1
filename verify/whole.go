package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// RosterEntries returns the ledger indices of all enrolments, revocations and versions
// of the rules in the mirror, ascending, as far as this program can read the ledger.
func (m *Mirror) RosterEntries() ([]uint64, error) { return m.index.all(rosterFile) }

// Erasures returns the ledger indices of all erasures in the mirror, ascending.
func (m *Mirror) Erasures() ([]uint64, error) { return m.index.all(erasedFile) }

// Attachments returns a reader of the attachments that entries of the mirrored
// ledger name. One that is not in the mirror yet is fetched from the first that
// has it, checked and kept. Of one that was erased the error wraps
// ledger.ErrErased; one that is missing although it was not convicts the ledger:
// that error wraps ledger.ErrInvalid.
func (m *Mirror) Attachments(from ...ledger.Fetcher) func(context.Context, attestation.Digest) ([]byte, error) {
	return func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
		id := ledger.AttachmentID(sum)
		data, err := m.replica.Attachments.Get(ctx, id)
		if !errors.Is(err, fs.ErrNotExist) {
			return data, m.replica.Damaged(err)
		}
		if len(from) == 0 {
			return nil, fmt.Errorf("attachment %s is not in the mirror: name an aggregator to fetch it from", sum.Hex())
		}
		var failures []error
		missing := 0
		for _, fetch := range from {
			data, err := ledger.FetchAttachment(ctx, fetch, id)
			if err == nil {
				_, err = m.replica.Attachments.Put(bytes.NewReader(data))
				return data, err
			}
			if errors.Is(err, fs.ErrNotExist) {
				missing++
			}
			failures = append(failures, err)
		}
		err = errors.Join(failures...)
		if missing == len(from) {
			err = fmt.Errorf("%w: attachment %s, which an entry names, is not there, and no entry erased it: %v", ledger.ErrInvalid, sum.Hex(), err) //nolint:errorlint // the ledger is to blame
		}
		return nil, err
	}
}

// erase removes from the mirror what the ledger erased. The caller holds mu.
func (m *Mirror) erase(ctx context.Context) error {
	erasures, err := m.index.all(erasedFile)
	if err != nil {
		return err
	}
	for _, n := range erasures {
		record, err := m.Tree().Record(ctx, n)
		if err != nil {
			return err
		}
		entry, err := record.Entry()
		if err != nil {
			return err
		}
		e, ok := reading.As[*reading.Erasure](n, entry)
		if !ok {
			continue // moves nothing, for any reader
		}
		if id := ledger.AttachmentID(e.Attachment); !m.replica.Attachments.Erased(id) {
			if err := m.replica.Attachments.Erase(id); err != nil {
				return err
			}
		}
	}
	return nil
}
