package api

import (
	"net/url"

	"repronet.dev/attestation"
)

// Paths of the API, below an aggregator's base URL. The queries of those that take
// some are the parameters of the methods of [Client]; the OpenAPI document at
// [OpenAPIPath] describes all of them.
const (
	OpenAPIPath     = "/api/v1/openapi.json"
	SummaryPath     = "/api/v1/summary"
	HistoryPath     = "/api/v1/history"
	SetsPath        = "/api/v1/sets"
	BuildsPath      = "/api/v1/builds"
	OutputsPath     = "/api/v1/outputs"
	DivergencesPath = "/api/v1/divergences"
	ChangesPath     = "/api/v1/changes"
	ExcusesPath     = "/api/v1/excuses"
	PackagesPath    = "/api/v1/packages"
	MaintainersPath = "/api/v1/maintainers"
	BuildersPath    = "/api/v1/builders"
	AgreementPath   = "/api/v1/agreement"
	EntriesPath     = "/api/v1/entries"
	MapProofPath    = "/api/v1/map/proof" // ?ecosystem=E&name=KEY
	MapBucketsPath  = "/api/v1/map/buckets"

	SubmitPath     = "/api/v1/attestations"
	EvidencePath   = "/api/v1/evidence"      // third parties' documents, from anybody
	EnrolmentsPath = "/api/v1/enrolments"    // POST asks (package enrolment/request)
	RosterPath     = "/api/v1/builders.json" // [Roster]

	ExportVerdictsPath = "/api/v1/export/verdicts"
	ExportChangesPath  = "/api/v1/export/changes"

	SnapshotsPath     = "/api/v1/snapshots" // [Snapshot], newest first
	SnapshotFilesPath = "/data/snapshots"   // see [SnapshotPath]
)

// Paths of the ledger's files (C2SP tlog-tiles; package ledger reads them).
const (
	LogPath    = "/log"
	LogKeyPath = "/log/key" // the log's verifier key, one line
)

// MapBucketPath is where the map shows all outputs whose IDs have a prefix: [MapBucket].
func MapBucketPath(prefix attestation.Prefix) string { return MapBucketsPath + "/" + string(prefix) }

// ProblemsPath is the page that explains every kind of problem.
const ProblemsPath = "/docs/problems"

// FilterPath is where a package set's filter is: the first [FilterPrefixSize] bytes
// of the attestation.OutputID of each member, sorted, each once, one after the other.
// Its ETag is, in quotes, the index of the ledger entry that published the revision.
func FilterPath(set string) string { return SetsPath + "/" + url.PathEscape(set) + "/filter" }

// SetRevisionsPath lists the revisions of a package set.
func SetRevisionsPath(set string) string { return SetsPath + "/" + url.PathEscape(set) + "/revisions" }

// SetDifferencePath compares a revision of a package set with the one before it.
func SetDifferencePath(set string) string {
	return SetsPath + "/" + url.PathEscape(set) + "/difference"
}

// PackagePath is where a package is described; with ?ecosystem=, that of an ecosystem.
func PackagePath(name string) string { return PackagesPath + "/" + url.PathEscape(name) }

// MaintainerPath is where is said what a maintainer has to look after.
func MaintainerPath(name string) string { return MaintainersPath + "/" + url.PathEscape(name) }

// BuilderPath is where a builder is described.
func BuilderPath(id string) string { return BuildersPath + "/" + url.PathEscape(id) }

// EnrolmentPath tells what became of a builder's request to be enrolled.
func EnrolmentPath(builder string) string { return EnrolmentsPath + "/" + url.PathEscape(builder) }

// FilterPrefixSize is the size of one entry of a filter in bytes.
const FilterPrefixSize = 12

// Media types of submissions: one bundle, or one document a line.
const (
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	LinesType  = "application/jsonl"
)

// EntryVersionHeader says in a submission of statements up to which version the sender reads
// entries of the ledger, one of which is in each receipt. Without it that is version 1.
const EntryVersionHeader = "Repronet-Entry-Version"

// Limits of one submission, after decompression.
const (
	MaxRequestSize = 16 << 20 // bytes
	MaxBundles     = 1000     // lines
)

// Headers of answers.
const (
	// IndexedHeader says of how many ledger entries an export is made.
	IndexedHeader = "Repronet-Indexed"
	// KindHeader says of which kind a ledger entry is.
	KindHeader = "Repronet-Kind"
)
