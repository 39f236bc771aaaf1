// Package evidence is about what third parties signed without knowing of this
// project: documents that prove themselves, so that anyone may relay them and
// nobody has to believe the relayer. Each kind has a package of its own below
// this one (openpgp, narinfo); guixsigs reads a public layout of such documents
// from a directory; kinds opens an entry of any kind as the ledger holds it. What
// they share is here: the states of a signature. How a builder's later document
// replaces its earlier ones is package divergence's subject.
//
// Evidence is kept whatever its state; only a signature whose state counts
// gives a builder a position. All of it is pure: the state of a signature
// depends on the document, on the keys that the caller knows, and on the time at
// which the ledger received the document. A time within a document is its
// signer's own assertion and is named so.
package evidence

// ReleaseEcosystem is the ecosystem of the files of signed checksum documents.
// Their output key is "<project>/<file name>", their digest kind "file".
const ReleaseEcosystem = "release"

// State is what became of one signature.
type State uint8

// The states. Only Valid and ExpiredSince count.
const (
	// Bad: no signature of the named key over this document, or one made with
	// an algorithm that is no proof.
	Bad State = iota
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

var stateNames = [...]string{"bad-signature", "unknown-key", "revoked", "outside-validity", "expired-since", "valid"}

func (s State) String() string { return stateNames[s] }

// Counts reports whether a signature in this state proves its signer's claim.
func (s State) Counts() bool { return s == Valid || s == ExpiredSince }
