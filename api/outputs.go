package api

import (
	"time"
)

// OutputRow is an output in a list.
type OutputRow struct {
	Key       string  `json:"key"`
	Ecosystem string  `json:"ecosystem"`
	Build     string  `json:"build"`
	Output    string  `json:"output"` // the output's name within the build, "" where unknown
	Verdict   Verdict `json:"verdict"`
	Shape     Shape   `json:"shape,omitempty"`
	Cause     Side    `json:"cause,omitempty"`
	Operators int     `json:"operators"`
	Digests   int     `json:"digests"`
}

// Output is everything known about one output.
type Output struct {
	OutputRow
	DigestKind string  `json:"digest_kind"`
	Claims     []Claim `json:"claims"` // in ledger order
	// Earlier tells that there are earlier claims than those: the newest are listed.
	// Each is an entry of the ledger.
	Earlier bool      `json:"earlier_claims,omitzero"`
	History []Change  `json:"history"` // oldest first
	Member  []SetPlan `json:"sets"`    // the sets whose newest revision has it
}

// SetPlan is what a package set says of a member.
type SetPlan struct {
	Set         string   `json:"set"`
	Attribute   string   `json:"attribute,omitempty"`
	Version     string   `json:"version,omitempty"`
	System      string   `json:"system,omitempty"`
	Maintainers []string `json:"maintainers,omitempty"`
	// Inputs are the outputs it is built from that are in the set, with their
	// verdicts.
	Inputs []OutputRow `json:"inputs,omitempty"`
}

// Claim is one statement's word on one output.
type Claim struct {
	Index        uint64            `json:"index"`            // of the ledger entry, the evidence
	Output       string            `json:"output,omitempty"` // its key, where the claim is not listed below it
	ReceivedAt   time.Time         `json:"received_at"`
	Builder      string            `json:"builder"`
	Operator     string            `json:"operator"`
	Tier         Tier              `json:"tier"`
	Digest       string            `json:"digest"` // "sha256:" and hex
	Occasion     string            `json:"occasion,omitempty"`
	FinishedOn   time.Time         `json:"finished_on,omitzero"`
	InputsDigest string            `json:"inputs_digest,omitempty"`
	Environment  map[string]string `json:"environment,omitempty"`
	// Kind is that of a third party's document, as the ledger names it ("signed-sums",
	// "narinfo", …); empty of a statement.
	Kind string `json:"kind,omitempty"`
	// SignedOn is when the document was signed, as its signer asserts.
	SignedOn time.Time `json:"signed_on,omitzero"`
	// Flags of a document: "self-asserted-time", "expired-since".
	Flags []string `json:"flags,omitempty"`
	// Counts tells whether the claim is in its operator's counted position;
	// Status says why not: "withdrawn", "revoked", "open", "superseded" by a
	// document that the builder signed later, "ambiguous" for a name that a
	// document lists with several digests.
	Counts bool     `json:"counts"`
	Status Standing `json:"status,omitempty"`
	// Reason is what the withdrawal or the revocation gives as one, and By the ledger
	// index of that entry.
	Reason string  `json:"reason,omitempty"`
	By     *uint64 `json:"by,omitempty"`
}

// Change is one transition in an output's recorded history.
type Change struct {
	Index      uint64    `json:"index"`
	ReceivedAt time.Time `json:"received_at"`
	From       Verdict   `json:"from"`
	To         Verdict   `json:"to"`
}

// Build is a recipe with its outputs.
type Build struct {
	Name      string    `json:"name"`
	Ecosystem string    `json:"ecosystem"`
	Outputs   []Output  `json:"outputs"` // at most 1,000
	Total     uint64    `json:"total"`   // how many it has; the exports have all
	Failures  []Failure `json:"failures"`
}

// Failure is an attested "could not build".
type Failure struct {
	Index       uint64            `json:"index"`
	ReceivedAt  time.Time         `json:"received_at"`
	Builder     string            `json:"builder"`
	Operator    string            `json:"operator"`
	Failure     string            `json:"failure"`
	Environment map[string]string `json:"environment,omitempty"`
}
