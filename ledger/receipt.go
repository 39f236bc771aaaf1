package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Receipt is the ledger's answer to a submission: the entry, and the proof
// that a signed checkpoint's tree contains it.
type Receipt struct {
	Index      uint64      `json:"index"`
	Entry      []byte      `json:"entry"` // as encoded; base 64 in JSON
	Proof      []tlog.Hash `json:"proof"` // RFC 6962 audit path, leaf to root
	Checkpoint string      `json:"checkpoint"`
}

// Verify checks the checkpoint's signature under the log's key and the proof,
// and returns the entry.
func (r *Receipt) Verify(log note.Verifier) (*Entry, error) {
	checkpoint, err := OpenCheckpoint([]byte(r.Checkpoint), log)
	if err != nil {
		return nil, fmt.Errorf("verifying receipt: %w", err)
	}
	if r.Index >= checkpoint.Size {
		return nil, fmt.Errorf("verifying receipt: %w: index %d is not in a tree of %d entries", ErrInvalid, r.Index, checkpoint.Size)
	}
	leaf := tlog.RecordHash(r.Entry)
	if err := tlog.CheckRecord(r.Proof, int64(checkpoint.Size), checkpoint.Root, int64(r.Index), leaf); err != nil {
		return nil, fmt.Errorf("verifying receipt: %w: entry %d is not in the tree of %d entries: %w", ErrInvalid, r.Index, checkpoint.Size, err)
	}
	entry, err := DecodeEntry(r.Entry)
	if err != nil {
		return nil, fmt.Errorf("verifying receipt: %w", err)
	}
	return entry, nil
}
