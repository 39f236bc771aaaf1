package dashboard

import (
	"context"
	"errors"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// A Source answers what the pages and the API ask. Its methods are called from
// several goroutines, honour the context, and return [ErrNotFound] for what is
// not there. Lists are never nil in JSON.
type Source interface {
	StatusSource
	OutputSource
	DivergenceSource
	SetSource
	PackageSource
	MaintainerSource
	BuilderSource
}

// ErrNotFound is returned by a Source for a name that it does not know.
var ErrNotFound = errors.New("not found")

// ErrBucket is returned by a Source for a prefix that too many outputs have.
var ErrBucket = errors.New("too many outputs have the prefix")

// StatusSource answers for the whole collection and for package sets.
type StatusSource interface {
	// Watermark says how much of the ledger the answers cover. Equal watermarks
	// mean equal answers of every method.
	Watermark(ctx context.Context) (Watermark, error)
	// Summary counts the outputs of a set's newest revision, or all with a
	// position where set is "".
	Summary(ctx context.Context, set string) (*Summary, error)
	// Summaries are the counts of package sets by verdict, in the order of their names as
	// given, without those that are not published. The numbers beside them are those of
	// the whole ledger.
	Summaries(ctx context.Context, sets []string) ([]Summary, error)
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
	// LookUp says of each of many keys what is known under it, in their order: see
	// [attestation.Seek] for what a key can be. The work does not depend on what they are.
	LookUp(ctx context.Context, keys []string) ([]api.Lookup, error)
	// Bucket lists the outputs whose IDs have a prefix, by key. The error wraps [ErrBucket]
	// if they are more than [api.MaxBucketOutputs].
	Bucket(ctx context.Context, prefix attestation.Prefix) ([]api.FoundOutput, error)
	// Search lists outputs whose key or build name contains a text. The error wraps
	// [ErrNotFound] for a cursor that no page gave.
	Search(ctx context.Context, query SearchQuery) (*SearchPage, error)
}

// A SearchQuery selects outputs by what their names contain.
type SearchQuery struct {
	Text   string // without regard to the case of ASCII letters
	Limit  int    // 1 to 1,000
	Cursor string // Next of the page before
}

// A SearchPage is a page of outputs, ordered by key; those that were first named last are on
// the first page.
type SearchPage struct {
	Outputs []OutputRow
	Next    string // cursor of the next page, "" at the end
}

// DivergenceSource lists what diverges, and what began or ceased to.
type DivergenceSource interface {
	Divergences(ctx context.Context, query DivergenceQuery) (*DivergencePage, error)
	// Changes lists the newest changes of verdicts to diverged and back: the newest
	// first, those of one entry in an order that stays. next is the cursor of the next page,
	// "" at the end.
	Changes(ctx context.Context, query ChangeQuery) (page []VerdictChange, next string, err error)
}

// SetSource answers for the revisions of package sets.
type SetSource interface {
	// SetRevisions lists a set's revisions, newest first, at most limit.
	SetRevisions(ctx context.Context, set string, limit int) ([]SetRevision, error)
	// SetDifference compares a revision with the one before it: the newest one where
	// revision is "", and the newest of that name where several were published. Each list
	// has at most limit rows.
	SetDifference(ctx context.Context, set, revision string, limit int) (*SetDifference, error)
	// Excuses says what keeps one revision from taking the place of another. Both are written
	// SET@REVISION, or SET@ for the newest. At most limit outputs are listed.
	Excuses(ctx context.Context, from, to string, limit int) (*Excuses, error)
	// SetChanges is Changes of the outputs that were the set's members at the time, as
	// the set sees them: one that came in the place of another is compared with that
	// one, by the verdicts of the time. It goes no further back than some revisions.
	SetChanges(ctx context.Context, set string, limit int) ([]VerdictChange, error)
}

// PackageSource answers for packages, as [api.Package] says what they are.
type PackageSource interface {
	// Packages lists packages by name and ecosystem. The error wraps [ErrNotFound] for a
	// cursor that no page gave.
	Packages(ctx context.Context, query PackageQuery) (*PackagePage, error)
	// Package describes a package, with a page of its versions.
	Package(ctx context.Context, query VersionsQuery) (*Package, error)
}

// MaintainerSource answers for those whom the newest revisions of package sets name as
// maintainers.
type MaintainerSource interface {
	// Maintainers lists them by name, with their outputs counted by verdict. A cursor is a
	// name: the page begins behind where that would stand.
	Maintainers(ctx context.Context, query MaintainerQuery) (*MaintainerPage, error)
	// Maintainer says what one has to look after: at most limit rows of each kind.
	Maintainer(ctx context.Context, name string, limit int) (*Maintainer, error)
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
