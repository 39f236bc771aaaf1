package wire

import (
	"time"

	"repronet/signing/keys"
)

// Builders is the document at [BuildersPath]: the fold of the ledger's
// enrolments and revocations up to its end.
type Builders struct {
	Checkpoint string    `json:"checkpoint"` // a checkpoint of the ledger it was made from
	Size       uint64    `json:"size"`       // of that checkpoint
	Builders   []Builder `json:"builders"`
}

// Builder is one builder in the document.
type Builder struct {
	ID          keys.BuilderID `json:"id"`
	PublicKey   []byte            `json:"publicKey"` // PKIX, DER; base 64 in JSON
	Operator    string            `json:"operator"`
	Tier        string            `json:"tier"`
	NotBefore   time.Time         `json:"notBefore,omitzero"`
	NotAfter    time.Time         `json:"notAfter,omitzero"`
	EnrolledAt  uint64            `json:"enrolledAt"` // ledger index
	RevokedFrom *uint64           `json:"revokedFrom,omitempty"`
}
