package wire

import (
	"fmt"
	"net/http"

	"repronet/ledger"
)

// Paths of the protocol, below an aggregator's base URL.
const (
	SubmitPath   = "/api/v1/attestations"
	EvidencePath = "/api/v1/evidence" // third parties' documents, from anybody
	BuildersPath = "/api/v1/builders.json"
	LogPath      = "/log"
	LogKeyPath   = "/log/key" // the log's verifier key, one line
)

// FilterPath is where a package set's filter is: the first 12 bytes of the
// attestation.OutputID of each member, sorted, one after the other.
func FilterPath(set string) string { return "/api/v1/sets/" + set + "/filter" }

// FilterPrefixSize is the size of one entry of a filter in bytes.
const FilterPrefixSize = 12

// Media types of a submission: one bundle, or one a line.
const (
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	LinesType  = "application/jsonl"
)

// Limits of one request, after decompression.
const (
	MaxRequestSize = 16 << 20
	MaxBundles     = 1000
)

// Evidence is a document that proves itself, as it is submitted: one a line, of
// media type [LinesType], at most [MaxBundles] lines.
type Evidence struct {
	Kind ledger.Kind `json:"kind"` // ledger.OpenPGPSums or ledger.Narinfo
	Body []byte      `json:"body"` // of the entry; base 64 in JSON
}

// Result is the answer to one bundle or document. Exactly one of Receipt and
// Problem is set.
type Result struct {
	// Duplicate tells that the ledger had the same claim of the same builder
	// already; the receipt is that entry's.
	Duplicate bool `json:"duplicate,omitempty"`
	// State is what became of a document's signatures (package evidence), and
	// Reason why it is kept and does not count; empty if it does.
	State   string          `json:"state,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Receipt *ledger.Receipt `json:"receipt,omitempty"`
	Problem *Problem        `json:"problem,omitempty"`
}

// Problem is a problem document (RFC 9457), and an error.
type Problem struct {
	Type   string `json:"type"` // a URI reference into the documentation of problems
	Title  string `json:"title"`
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail"`
}

// NewProblem returns a problem of a documented kind ("malformed",
// "not-enrolled", …) with the sentence that tells the sender what to do.
func NewProblem(status int, kind, detail string) *Problem {
	return &Problem{Type: "/docs/problems#" + kind, Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *Problem) Error() string { return fmt.Sprintf("%s (%d): %s", p.Title, p.Status, p.Detail) }

// Permanent tells that sending the same bundle again cannot help.
func (p *Problem) Permanent() bool {
	return p.Status >= 400 && p.Status < 500 && p.Status != http.StatusRequestTimeout && p.Status != http.StatusTooManyRequests
}
