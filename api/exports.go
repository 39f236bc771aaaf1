package api

import "repronet.dev/divergence"

// An ExportedVerdict is a line of [ExportVerdictsPath]: the verdict on one output.
// Shape is empty unless it is diverged.
//
// An export is JSON lines in the order of the attestation.OutputID of the outputs,
// and follows from as many ledger entries as [IndexedHeader] says. With the query
// ?size=N the answer is a problem of kind [ProblemOtherSize] if that is another
// number. An answer that is not complete ends in a broken connection.
type ExportedVerdict struct {
	Ecosystem string  `json:"ecosystem"`
	Output    string  `json:"output"`
	Verdict   Verdict `json:"verdict"`
	Shape     Shape   `json:"shape,omitempty"`
	Operators int     `json:"operators"`
	Digests   int     `json:"digests"`
}

// NewExportedVerdict returns the line of an output.
func NewExportedVerdict(ecosystem, output string, j divergence.Judgement) ExportedVerdict {
	return ExportedVerdict{ecosystem, output, NewVerdict(j.Verdict), NewShape(j.Shape), j.Operators, j.Digests}
}

// An ExportedChange is a line of [ExportChangesPath], a transition of an output's
// verdict. Those of one output are in ledger order; see [ExportedVerdict] for the
// rest.
type ExportedChange struct {
	Ecosystem string  `json:"ecosystem"`
	Output    string  `json:"output"`
	Index     uint64  `json:"index"` // of the ledger entry
	From      Verdict `json:"from"`
	To        Verdict `json:"to"`
}
