package api

import (
	"time"
)

// Summary holds the counts of GET /api/v1/summary; docs/words.md says what each
// means. Compared = Reproduced + Diverged. With a set, Outputs is the number of
// its members, and Unbuilt those without a position; Builders, Operators, Attestations and
// Observations are those of claims on its members.
type Summary struct {
	Set          string `json:"set,omitempty"`
	Revision     string `json:"revision,omitempty"`
	Outputs      uint64 `json:"outputs"`
	Compared     uint64 `json:"compared"`
	Reproduced   uint64 `json:"reproduced"`
	Diverged     uint64 `json:"diverged"`
	Single       uint64 `json:"single"`
	Unbuilt      uint64 `json:"unbuilt"`
	Builders     uint64 `json:"builders"`  // with an attestation in the ledger
	Operators    uint64 `json:"operators"` // behind those
	Attestations uint64 `json:"attestations"`
	Observations uint64 `json:"observations"`
	Failures     uint64 `json:"failures"` // builds that were attested to have failed, in the whole ledger
	LedgerSize   uint64 `json:"ledger_size"`
	Indexed      uint64 `json:"indexed"` // reaches LedgerSize when the index has caught up
}

// DayCounts are the counts of outputs by verdict at the end of a day.
type DayCounts struct {
	Day        time.Time `json:"day"` // midnight UTC at its beginning
	Reproduced uint64    `json:"reproduced"`
	Diverged   uint64    `json:"diverged"`
	Single     uint64    `json:"single"`
}

// Set is a published package set at its newest revision.
type Set struct {
	Name        string    `json:"name"`
	Revision    string    `json:"revision"`
	PublishedAt time.Time `json:"published_at"`
	Index       uint64    `json:"index"` // of the ledger entry
	Members     uint64    `json:"members"`
}
