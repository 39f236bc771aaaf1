package api

import (
	"time"
)

// Builder is a builder in a list.
type Builder struct {
	ID           string    `json:"id"`
	Operator     string    `json:"operator"`
	Tier         Tier      `json:"tier"`
	Attestations uint64    `json:"attestations"`
	Observations uint64    `json:"observations"`
	LastSeen     time.Time `json:"last_seen,omitzero"`
	Revoked      bool      `json:"revoked"`
	// Flags name what is odd: "fork", "gap", "stale", "revoked", "back-dated", "copying".
	Flags []Flag `json:"flags"`
	// Copying names the operators from whom its own seems to copy, likeliest
	// first, at most 10. It moves no verdict.
	Copying []Copying `json:"copying,omitempty"`
	// AsOf is how many ledger entries the flags fork, gap and copying cover.
	AsOf uint64 `json:"as_of"`
}

// Copying says that an operator claims what another claimed, on outputs that come
// out differently for everybody else; see docs/words.md.
type Copying struct {
	From   string `json:"from"`   // operator
	Common uint64 `json:"common"` // such outputs that both claim
	Same   uint64 `json:"same"`   // and alike
	// Outputs are some of those, at most 20; only of a single builder.
	Outputs []OutputRow `json:"outputs,omitempty"`
}

// BuilderDetail is everything shown about a builder.
type BuilderDetail struct {
	Builder
	PublicKey     string        `json:"public_key"` // PEM; empty of an OpenPGP certificate or an identity
	Certificates  []Certificate `json:"certificates,omitempty"`
	Identity      *Identity     `json:"identity,omitempty"`
	EnrolledAt    uint64        `json:"enrolled_at"` // ledger index
	RevokedFrom   *uint64       `json:"revoked_from,omitempty"`
	RevokedAt     *uint64       `json:"revoked_at,omitempty"` // of the revocation; greater of one that is back-dated
	RevokedReason string        `json:"revoked_reason,omitempty"`
	Streams       []Stream      `json:"streams"`
	// Verdicts counts the outputs that it claims by their verdict, as of AsOf.
	Verdicts map[Verdict]uint64 `json:"verdicts"`
	Recent   []Claim            `json:"recent"` // newest statements' first outputs, at most 20
}

// Certificate is an OpenPGP certificate of a builder and the project for which it
// signs.
type Certificate struct {
	Project     string `json:"project"`
	Fingerprint string `json:"fingerprint"`
	SHA256      string `json:"sha256"` // of the attachment to the ledger that has it
}

// Identity is a rule for the Sigstore identities that are a builder; see
// docs/formats.md.
type Identity struct {
	Issuer      string `json:"issuer"`
	Subject     string `json:"subject"`
	Repository  string `json:"repository,omitempty"`
	TrustedRoot string `json:"trusted_root"` // SHA-256 of the attachment to the ledger that has it
}

// Stream is one installation's chain of statements.
type Stream struct {
	ID         string   `json:"id"`
	Statements uint64   `json:"statements"`
	Last       uint64   `json:"last"`    // highest sequence
	Missing    uint64   `json:"missing"` // sequences below it that never came and were not bridged
	Forks      []uint64 `json:"forks"`   // sequences with two payloads, at most 100
}

// Comparison compares operators pairwise.
type Comparison struct {
	AsOf  uint64      `json:"as_of"` // ledger entries that it covers
	Pairs []Agreement `json:"pairs"`
}

// Agreement compares two operators.
type Agreement struct {
	A      string `json:"a"`
	B      string `json:"b"`
	Common uint64 `json:"common"` // outputs that both claim
	Agree  uint64 `json:"agree"`  // with the same position
}
