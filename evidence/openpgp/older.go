package openpgp

import (
	"reflect"
	"slices"
)

// Older returns the same evidence in the older form, where that says the same of the
// same outputs as its rows by the wider grammar: as most documents do. One form for
// one document keeps a ledger from having it twice.
func (s *Signed) Older(wider *Rows) (*Document, bool) {
	d := &Document{Project: s.Project, Text: s.Text, Signature: s.Signature}
	if s.Detached() || d.validate() != nil {
		return nil, false
	}
	if _, err := signaturePackets(s.Signature, maxDocumentSignatures); err != nil {
		return nil, false
	}
	older := ParseSums(s.Project, s.Text)
	return d, slices.Equal(older.Claims, wider.Claims) && reflect.DeepEqual(older.Ambiguous, wider.Ambiguous)
}
