package index

import (
	"context"

	"repronet/attestation"
)

// A claimKey identifies a statement that a builder made: its payload by the first
// half of the SHA-256, which nobody finds a second payload for.
type claimKey struct {
	builder uint32
	payload [16]byte
}

func newClaimKey(builder uint32, payload attestation.Digest) claimKey {
	return claimKey{builder, [16]byte(payload[:16])}
}

// again is why the second entry with a statement moves nothing.
const again = "an earlier entry has the same statement of the same builder"

// repeats reports whether an earlier entry has the statement, and notes it. Whoever
// takes statements in accepts none twice; but an entry may have been written though
// its sender was told that it failed, and sends it again.
//
// Some 30 bytes a statement are kept in memory for it.
func (f *fold) repeats(it *item) bool {
	key := newClaimKey(it.builder, it.payload)
	if _, known := f.statements[key]; known {
		return true
	}
	f.statements[key] = struct{}{}
	return false
}

// loadStatements notes the statements of the entries before the watermark.
func (f *fold) loadStatements(ctx context.Context) error {
	f.statements = make(map[claimKey]struct{}, f.watermark.Attestations)
	for k, err := range f.tables.DuplicateKeys(ctx, 0) {
		if err != nil {
			return err
		}
		if k.Index < f.watermark.Size {
			f.statements[newClaimKey(k.Builder, k.Payload)] = struct{}{}
		}
	}
	return nil
}
