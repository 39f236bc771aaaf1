package reading

import (
	"context"
	"time"

	"repronet.dev/ledger"
)

// A kind is one kind of third-party evidence: how its documents are read. The errors of
// both functions wrap evidence.ErrMalformed where the bytes are no evidence.
type kind struct {
	name ledger.Kind
	// peek returns what a document is about, with no signature checked.
	peek func(body []byte) (*Named, error)
	// open judges the signatures of a document at its place in the ledger. Any other
	// error is about an attachment that cannot be had now.
	open func(ctx context.Context, r *Reader, body []byte, at when) (*Document, error)
}

// when is a document's place in the ledger: when it was received, and which version of the
// rules judges there.
type when struct {
	received time.Time
	rules    Version
}

// kinds are all kinds of third-party evidence that this program knows. What is here is
// taken in, indexed, replayed, checked and in the verifiable map.
var kinds = [...]kind{
	{ledger.OpenPGPSums, peekSums, openSums},
	{ledger.SignedSums, peekSigned(parseRows), openSigned(ledger.SignedSums, parseRows)},
	{ledger.GitianAssert, peekSigned(parseAssertion), openSigned(ledger.GitianAssert, parseAssertion)},
	{ledger.Narinfo, peekNarinfo, openNarinfo},
}

// Kinds are the kinds of entries that are third-party evidence.
func Kinds() []ledger.Kind {
	names := make([]ledger.Kind, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].name
	}
	return names
}

// IsEvidence reports whether entries of a kind are third-party evidence.
func IsEvidence(name ledger.Kind) bool { return kindOf(name) != nil }

// kindOf returns the kind of third-party evidence with a name; nil if there is none.
func kindOf(name ledger.Kind) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}
