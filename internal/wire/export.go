package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"repronet/divergence"
	"repronet/ledger"
)

// Where an aggregator publishes all verdicts, and all of their history: JSON
// lines ([ExportedVerdict], [ExportedChange]) in the order of the
// attestation.OutputID of the outputs, changes of one output in ledger order. All
// of it follows from as many ledger entries as the header [IndexedHeader] says.
// With the query ?size=N the answer is 409 if that is another number. An answer
// that is not complete ends in a broken connection.
const (
	ExportVerdictsPath = "/api/v1/export/verdicts"
	ExportChangesPath  = "/api/v1/export/changes"
	IndexedHeader      = "Repronet-Indexed"
)

// An ExportedVerdict is the verdict on one output. Shape is empty unless it is
// diverged.
type ExportedVerdict struct {
	Ecosystem string `json:"ecosystem"`
	Output    string `json:"output"`
	Verdict   string `json:"verdict"`
	Shape     string `json:"shape,omitempty"`
	Operators int    `json:"operators"`
	Digests   int    `json:"digests"`
}

// NewExportedVerdict returns the line of an output.
func NewExportedVerdict(ecosystem, output string, j divergence.Judgement) ExportedVerdict {
	return ExportedVerdict{ecosystem, output, j.Verdict.String(), j.Shape.String(), j.Operators, j.Digests}
}

// An ExportedChange is a transition of an output's verdict.
type ExportedChange struct {
	Ecosystem string `json:"ecosystem"`
	Output    string `json:"output"`
	Index     uint64 `json:"index"` // of the ledger entry
	From      string `json:"from"`
	To        string `json:"to"`
}

// MapProofPath answers with a [MapProof], for ?ecosystem=E&name=KEY.
const MapProofPath = "/api/v1/map/proof"

// A MapProof is what the newest verifiable map that the ledger commits to says of
// an output, and of the enrolments and revocations: see package outputmap.
type MapProof struct {
	Receipt *ledger.Receipt `json:"receipt"` // of the entry with the map's root
	Output  jsontext.Value  `json:"output"`  // outputmap.Proof
	Roster  jsontext.Value  `json:"roster"`  // likewise
}
