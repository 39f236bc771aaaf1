package index

import (
	"context"

	"repronet.dev/reading"
)

// again is why the second entry with a statement moves nothing.
const again = "an earlier entry has the same statement of the same builder"

// repeats reports whether an earlier entry has the statement, and notes it. Ingest
// accepts none twice; but an entry may have been written though its sender was told
// that it failed, and sends it again.
//
// Some 30 bytes a statement are kept in memory for it.
func (f *fold) repeats(s *reading.Statement) bool {
	if _, known := f.statements[s.Key]; known {
		return true
	}
	f.statements[s.Key] = struct{}{}
	return false
}

// loadStatements notes the statements of the entries before the watermark.
func (f *fold) loadStatements(ctx context.Context) error {
	f.statements = make(map[reading.Key]struct{}, f.watermark.Attestations)
	for k, err := range f.tables.DuplicateKeys(ctx, 0) {
		if err != nil {
			return err
		}
		if b, ok := f.roster.ByNumber(k.Builder); ok && k.Index < f.watermark.Size {
			f.statements[reading.NewKey(b.ID, k.Payload)] = struct{}{}
		}
	}
	return nil
}
