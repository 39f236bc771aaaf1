package api

import (
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// Evidence is a document that proves itself, as it is submitted to [EvidencePath]:
// one a line, of media type [LinesType], at most [MaxBundles] lines.
type Evidence struct {
	Kind ledger.Kind `json:"kind" doc:"openpgp-sums, signed-sums, gitian-assert or narinfo."`
	Body []byte      `json:"body" doc:"The body of the ledger entry."` // base 64 in JSON
}

// Result is the answer to one bundle or document. Exactly one of Receipt and
// Problem is set.
type Result struct {
	// Duplicate tells that the ledger had the same claim of the same builder
	// already; the receipt is that entry's.
	Duplicate bool `json:"duplicate,omitzero" doc:"The ledger had the same claim of the same builder already; the receipt is that entry's."`
	// State is what became of a document's signatures (package evidence), and
	// Reason why it is kept and does not count; empty if it does.
	State   string          `json:"state,omitempty" doc:"Of a third party's document: what became of its signatures."`
	Reason  string          `json:"reason,omitempty" doc:"Why a third party's document is kept and does not count."`
	Receipt *ledger.Receipt `json:"receipt,omitempty" doc:"Where the ledger has it, with proof. Either this or problem is there."`
	Problem *Problem        `json:"problem,omitempty" doc:"Why it was not taken."`
}

// An Enrolment is the answer to a request to be enrolled.
type Enrolment struct {
	Builder signing.BuilderID `json:"builder"`
	State   EnrolmentState    `json:"state"`
	// Next is a sentence for the person who asked: what happens next.
	Next string `json:"next" doc:"What happens next, for the person who asked."`
	// Operator, Tier and Receipt are there once it is enrolled; the receipt is
	// for the builder's first enrolment.
	Operator string          `json:"operator,omitempty"`
	Tier     Tier            `json:"tier,omitempty"`
	Receipt  *ledger.Receipt `json:"receipt,omitempty" doc:"Of the builder's first enrolment."`
}
