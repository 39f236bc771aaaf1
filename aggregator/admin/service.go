package admin

import (
	"context"
	"io"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/signing"
)

// Service is what an operator can ask for. Each change is durable in the ledger
// when its method returns.
type Service interface {
	Joining
	// Attach stores what an entry is going to name by its SHA-256.
	Attach(ctx context.Context, content io.Reader) (attestation.Digest, error)
	// Enrol returns the ledger index of the enrolment.
	Enrol(ctx context.Context, e *enrolment.Enrolment) (uint64, error)
	// Revoke takes the builder's statements from ledger index from on away;
	// nil stands for the end of the ledger.
	Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (uint64, error)
	// Erase deletes an attachment that enrolments name, after an entry that says
	// so, whose ledger index it returns.
	Erase(ctx context.Context, attachment attestation.Digest, reason string) (uint64, error)
	// Builders lists the enrolled builders in the order of their enrolment.
	Builders(ctx context.Context) ([]wire.Builder, error)
	// PublishSet publishes a package set read from a list as pkgset.Parse
	// reads it.
	PublishSet(ctx context.Context, set Set, list io.Reader) (Published, error)
	// Reindex rebuilds the index from the ledger and swaps it in; progress is
	// told as lines of text.
	Reindex(ctx context.Context, progress io.Writer) error
}

// Set names a revision of a package set.
type Set struct{ Name, Revision, Ecosystem string }

// Published is what became of a package set.
type Published struct {
	Index   uint64 `json:"index"`   // of the ledger entry
	Members int    `json:"members"` // that count as outputs of the set
	Failed  int    `json:"failed"`  // attributes that could not be evaluated
}
