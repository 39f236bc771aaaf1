package api

// Excuses is what keeps a revision of a package set from taking another's place, by the
// verdicts that the ledger's first LedgerSize entries give. An output blocks if it is in a
// place that From has not, or that was reproduced there, and is not reproduced itself; one
// that both revisions have does not, nor one in whose place nothing was reproduced before:
// keeping it back would help nobody. The word is Debian's.
//
// 'repronet-verify promote' says the same from the ledger, under a policy of one's own; this
// is the answer to quorum 2, which is what makes a verdict "reproduced".
type Excuses struct {
	From       Set    `json:"from"`
	To         Set    `json:"to"`
	LedgerSize uint64 `json:"ledger_size"`
	Changed    uint64 `json:"changed"` // members of To that are new, or other outputs than in their places in From
	Blocked    uint64 `json:"blocked"` // of those, how many block
	Waiting    uint64 `json:"waiting"` // of those, how many only wait for evidence
	// Excuses are those that block: first what regressed, then what is new and diverged, then what
	// waits, each in the order of the attributes; at most as many as were asked for.
	Excuses []Excuse `json:"excuses"`
}

// Excuse is an output that blocks.
type Excuse struct {
	SetChange
	Waits bool `json:"waits"` // for evidence: fewer than two operators built it
}
