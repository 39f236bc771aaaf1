// Package evidence is about what third parties signed without knowing of this
// project: documents that prove themselves, so that anyone may relay them and
// nobody has to believe the relayer. Each kind has a package of its own below
// this one (openpgp, narinfo); guixsigs reads a public layout of such documents
// from a directory. What they share is here: the states of a signature. Package
// reading opens an entry of any kind as the ledger holds it. How a builder's later document
// replaces its earlier ones is package divergence's subject.
//
// Evidence is kept whatever its state; only a signature whose state counts
// gives a builder a position. All of it is pure: the state of a signature
// depends on the document, on the keys that the caller knows, and on the time at
// which the ledger received the document. A time within a document is its
// signer's own assertion and is named so.
package evidence

import "errors"

// ErrMalformed is wrapped by the errors of the packages of the kinds: these bytes are
// no evidence, and there is nothing to keep.
var ErrMalformed = errors.New("malformed")

// State is what became of one signature.
type State uint8

// The states, the better the later. Only Valid and ExpiredSince count. Their
// numbers are kept nowhere: documents and tables have their names, if anything.
const (
	// Bad: no signature of the named key over this document, or one that proves
	// nothing, whoever made it.
	Bad State = iota
	// Weak: made with SHA-1, or by a key that is too weak. It is kept and shown,
	// and never comes to count.
	Weak
	// UnknownKey: by a key that the caller does not know. It may come to count
	// when the key is enrolled.
	UnknownKey
	// Revoked: the key's owner took it back; see package openpgp for from when.
	Revoked
	// OutsideValidity: made before the key began, after it expired, or dated
	// in the future.
	OutsideValidity
	// ExpiredSince: made while the key was valid, which has expired since.
	ExpiredSince
	// Valid: the key was valid when it signed, and still is.
	Valid
)

var stateNames = [...]string{"bad-signature", "weak", "unknown-key", "revoked", "outside-validity", "expired-since", "valid"}

func (s State) String() string { return stateNames[s] }

// Counts reports whether a signature in this state proves its signer's claim.
func (s State) Counts() bool { return s == Valid || s == ExpiredSince }
