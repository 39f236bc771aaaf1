package dashboard

import (
	"context"
	"errors"
	"time"

	"repronet/attestation"
	"repronet/signing"
)

// A Source answers what the pages and the API ask. Its methods are called from
// several goroutines, honour the context, and return [ErrNotFound] for what is
// not there. Lists are never nil in JSON.
type Source interface {
	StatusSource
	OutputSource
	DivergenceSource
	BuilderSource
}

// ErrNotFound is returned by a Source for a name that it does not know.
var ErrNotFound = errors.New("not found")

// StatusSource answers for the whole collection and for package sets.
type StatusSource interface {
	// Watermark says how much of the ledger the answers cover. Equal watermarks
	// mean equal answers of every method.
	Watermark(ctx context.Context) (Watermark, error)
	// Summary counts the outputs of a set's newest revision, or all with a
	// position where set is "".
	Summary(ctx context.Context, set string) (*Summary, error)
	// History gives the counts at the end of each day (UTC) on which one
	// changed, oldest first.
	History(ctx context.Context, set string) ([]DayCounts, error)
	Sets(ctx context.Context) ([]Set, error)
}

// OutputSource answers for single outputs and builds.
type OutputSource interface {
	// Output looks an output up by its key.
	Output(ctx context.Context, key string) (*Output, error)
	// Build looks a recipe up by its name, with all its outputs.
	Build(ctx context.Context, name string) (*Build, error)
	// ByDigest lists the outputs for which anybody ever claimed a digest, at
	// most 1,000.
	ByDigest(ctx context.Context, digest attestation.Digest) ([]OutputRow, error)
	// Search lists outputs whose key or build name contains text, without
	// regard to the case of ASCII letters, ordered by key: where there are more
	// than limit, those that were first named last.
	Search(ctx context.Context, text string, limit int) ([]OutputRow, error)
}

// DivergenceSource lists what diverges.
type DivergenceSource interface {
	Divergences(ctx context.Context, query DivergenceQuery) (*DivergencePage, error)
}

// BuilderSource answers for those who attest.
type BuilderSource interface {
	// Builders lists all builders, by operator and ID.
	Builders(ctx context.Context) ([]Builder, error)
	Builder(ctx context.Context, id signing.BuilderID) (*BuilderDetail, error)
	// Comparison compares operators pairwise on the outputs that both claim.
	Comparison(ctx context.Context) (*Comparison, error)
}

// Watermark is how many ledger entries the answers cover. What goes over all
// outputs to compare builders is computed now and then: it covers Compared, and
// says so as "as_of"; everything else covers Indexed.
type Watermark struct {
	Indexed  uint64
	Compared uint64
}

// Summary holds the counts of GET /api/v1/summary; docs/words.md says what each
// means. Compared = Reproduced + Diverged. With a set, Outputs is the number of
// its members, and Unbuilt those without a position.
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
	Failures     uint64 `json:"failures"` // builds that were attested to have failed
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

// OutputRow is an output in a list.
type OutputRow struct {
	Key       string `json:"key"`
	Ecosystem string `json:"ecosystem"`
	Build     string `json:"build"`
	Output    string `json:"output"` // the output's name within the build, "" where unknown
	Verdict   string `json:"verdict"`
	Shape     string `json:"shape,omitempty"`
	Cause     string `json:"cause,omitempty"`
	Operators int    `json:"operators"`
	Digests   int    `json:"digests"`
}

// Output is everything known about one output.
type Output struct {
	OutputRow
	DigestKind string    `json:"digest_kind"`
	Claims     []Claim   `json:"claims"`  // in ledger order
	History    []Change  `json:"history"` // oldest first
	Member     []SetPlan `json:"sets"`    // the sets whose newest revision has it
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
	Tier         string            `json:"tier"`
	Digest       string            `json:"digest"` // "sha256:" and hex
	Occasion     string            `json:"occasion,omitempty"`
	FinishedOn   time.Time         `json:"finished_on,omitzero"`
	InputsDigest string            `json:"inputs_digest,omitempty"`
	Environment  map[string]string `json:"environment,omitempty"`
	// Kind is that of a third party's document, "openpgp-sums" or "narinfo";
	// empty of a statement.
	Kind string `json:"kind,omitempty"`
	// SignedOn is when the document was signed, as its signer asserts.
	SignedOn time.Time `json:"signed_on,omitzero"`
	// Flags of a document: "self-asserted-time", "expired-since".
	Flags []string `json:"flags,omitempty"`
	// Counts tells whether the claim is in its operator's counted position;
	// Status says why not: "withdrawn", "revoked", "open", "superseded" by a
	// document that the builder signed later, "ambiguous" for a name that a
	// document lists with several digests.
	Counts bool   `json:"counts"`
	Status string `json:"status,omitempty"`
}

// Change is one transition in an output's recorded history.
type Change struct {
	Index      uint64    `json:"index"`
	ReceivedAt time.Time `json:"received_at"`
	From       string    `json:"from"`
	To         string    `json:"to"`
}

// Build is a recipe with its outputs.
type Build struct {
	Name      string    `json:"name"`
	Ecosystem string    `json:"ecosystem"`
	Outputs   []Output  `json:"outputs"`
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

// DivergenceQuery selects divergences; zero fields do not restrict. Newest
// first.
type DivergenceQuery struct {
	Set        string
	Shape      string
	Cause      string
	Builder    signing.BuilderID // that holds a digest of its own among the factions
	Maintainer string
	Limit      int    // 1 to 1,000
	Cursor     string // Next of the page before
}

// DivergencePage is one page of divergences.
type DivergencePage struct {
	Divergences []Divergence `json:"divergences"`
	Total       uint64       `json:"total"`          // that the query selects
	Next        string       `json:"next,omitempty"` // cursor of the next page, "" at the end
}

// Divergence is an output whose verdict is diverged.
type Divergence struct {
	OutputRow
	Since    time.Time `json:"since"`    // when it became diverged
	Index    uint64    `json:"index"`    // the entry that made it so
	Previous string    `json:"previous"` // the verdict before: "reproduced" is a regression
	Factions []Faction `json:"factions"` // greatest first
}

// Faction is the operators that hold one digest.
type Faction struct {
	Digest    string   `json:"digest"`
	Operators []string `json:"operators"`
}

// Builder is a builder in a list.
type Builder struct {
	ID           string    `json:"id"`
	Operator     string    `json:"operator"`
	Tier         string    `json:"tier"`
	Attestations uint64    `json:"attestations"`
	Observations uint64    `json:"observations"`
	LastSeen     time.Time `json:"last_seen,omitzero"`
	Revoked      bool      `json:"revoked"`
	// Flags name what is odd: "fork", "gap", "stale", "revoked", "back-dated", "copying".
	Flags []string `json:"flags"`
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
	Verdicts map[string]uint64 `json:"verdicts"`
	Recent   []Claim           `json:"recent"` // newest statements' first outputs, at most 20
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
