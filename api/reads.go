package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

func ofSet(set string) url.Values {
	if set == "" {
		return nil
	}
	return url.Values{"set": {set}}
}

// Summary counts the outputs of a package set, or all with a position where set is "".
func (c *Client) Summary(ctx context.Context, set string) (*Summary, error) {
	return document[Summary](ctx, c, SummaryPath, ofSet(set), maxDocument)
}

// History gives the counts at the end of each day on which one changed.
func (c *Client) History(ctx context.Context, set string) ([]DayCounts, error) {
	return list[DayCounts](ctx, c, HistoryPath, ofSet(set))
}

// Sets lists the package sets at their newest revisions.
func (c *Client) Sets(ctx context.Context) ([]Set, error) { return list[Set](ctx, c, SetsPath, nil) }

// Build looks a recipe up by its name.
func (c *Client) Build(ctx context.Context, name string) (*Build, error) {
	return document[Build](ctx, c, BuildsPath, url.Values{"name": {name}}, maxDocument)
}

// Output looks an output up by its key, or by the hash part of its store path. For one that is not known the error is an
// [fs.ErrNotExist].
func (c *Client) Output(ctx context.Context, key string) (*Output, error) {
	return document[Output](ctx, c, OutputsPath, url.Values{"name": {key}}, maxDocument)
}

// ByDigest lists the outputs for which a digest was ever claimed, at most 1,000.
func (c *Client) ByDigest(ctx context.Context, digest attestation.Digest) ([]OutputRow, error) {
	return list[OutputRow](ctx, c, OutputsPath, url.Values{"digest": {digest.String()}})
}

// ByPURL lists the outputs that a package URL names, at most 1,000.
func (c *Client) ByPURL(ctx context.Context, purl string) ([]OutputRow, error) {
	return list[OutputRow](ctx, c, OutputsPath, url.Values{"purl": {purl}})
}

// Divergences lists what diverges, newest first. The next page is that of the same
// query with Next as its cursor.
func (c *Client) Divergences(ctx context.Context, query DivergenceQuery) (*DivergencePage, error) {
	return document[DivergencePage](ctx, c, DivergencesPath, query.Query(), maxDocument)
}

// Changes lists the newest changes of verdicts to diverged and back, newest first.
func (c *Client) Changes(ctx context.Context, query ChangeQuery) ([]VerdictChange, error) {
	return list[VerdictChange](ctx, c, ChangesPath, query.Query())
}

// SetRevisions lists a package set's revisions, newest first, at most limit.
func (c *Client) SetRevisions(ctx context.Context, set string, limit int) ([]SetRevision, error) {
	return list[SetRevision](ctx, c, SetRevisionsPath(set), url.Values{"limit": {strconv.Itoa(limit)}})
}

// SetDifference compares a revision of a package set, the newest if revision is "", with
// the one before it: at most limit rows of each kind.
func (c *Client) SetDifference(ctx context.Context, set, revision string, limit int) (*SetDifference, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if revision != "" {
		query.Set("revision", revision)
	}
	return document[SetDifference](ctx, c, SetDifferencePath(set), query, maxDocument)
}

// Excuses says what keeps a revision of a package set from taking the place of another. Each is
// written SET@REVISION, or SET@ for the newest; at most limit outputs are listed.
func (c *Client) Excuses(ctx context.Context, from, to string, limit int) (*Excuses, error) {
	return document[Excuses](ctx, c, ExcusesPath, url.Values{"from": {from}, "to": {to}, "limit": {strconv.Itoa(limit)}}, maxDocument)
}

// Packages lists packages, by name. The next page is that of the same query with Next as its
// cursor.
func (c *Client) Packages(ctx context.Context, query PackageQuery) (*PackagePage, error) {
	return document[PackagePage](ctx, c, PackagesPath, query.Query(), maxDocument)
}

// Package describes a package of an ecosystem, or of the first that has one of the name where
// ecosystem is "", with the versions behind a cursor, from the newest on where that is "".
func (c *Client) Package(ctx context.Context, ecosystem, name, cursor string) (*Package, error) {
	query := url.Values{}
	for parameter, value := range map[string]string{"ecosystem": ecosystem, "cursor": cursor} {
		if value != "" {
			query.Set(parameter, value)
		}
	}
	return document[Package](ctx, c, PackagePath(name), query, maxDocument)
}

// Maintainers lists those whom package sets name as maintainers. The next page is that of the
// same query with Next as its cursor.
func (c *Client) Maintainers(ctx context.Context, query MaintainerQuery) (*MaintainerPage, error) {
	return document[MaintainerPage](ctx, c, MaintainersPath, query.Query(), maxDocument)
}

// Maintainer says what a maintainer has to look after: at most limit rows of each kind.
func (c *Client) Maintainer(ctx context.Context, name string, limit int) (*Maintainer, error) {
	return document[Maintainer](ctx, c, MaintainerPath(name), url.Values{"limit": {strconv.Itoa(limit)}}, maxDocument)
}

// Builders lists those who attest, by operator.
func (c *Client) Builders(ctx context.Context) ([]Builder, error) {
	return list[Builder](ctx, c, BuildersPath, nil)
}

// Builder describes a builder.
func (c *Client) Builder(ctx context.Context, id signing.BuilderID) (*BuilderDetail, error) {
	return document[BuilderDetail](ctx, c, BuilderPath(string(id)), nil, maxDocument)
}

// Agreement compares operators pairwise.
func (c *Client) Agreement(ctx context.Context) (*Comparison, error) {
	return document[Comparison](ctx, c, AgreementPath, nil, maxDocument)
}

// Entry returns the kind and the body of a ledger entry. [Client.Log] has it with proof.
func (c *Client) Entry(ctx context.Context, index uint64) (ledger.Kind, []byte, error) {
	response, err := c.Open(ctx, EntriesPath+"/"+strconv.FormatUint(index, 10), nil)
	if err != nil {
		return "", nil, err
	}
	body, err := c.whole(response, maxEntry, "")
	return ledger.Kind(response.Header.Get(KindHeader)), body, err
}

// Roster asks for the builders' keys.
func (c *Client) Roster(ctx context.Context) (*Roster, error) {
	return document[Roster](ctx, c, RosterPath, nil, maxDocument)
}

// Export begins to read an export, [ExportVerdictsPath] or [ExportChangesPath]: JSON
// lines, made from as many ledger entries as size says. With a wanted size, an index
// that covers another number is a problem of kind [ProblemOtherSize]. The caller closes
// the answer's body.
func (c *Client) Export(ctx context.Context, path string, wanted *uint64) (lines *http.Response, size uint64, err error) {
	var query url.Values
	if wanted != nil {
		query = url.Values{"size": {strconv.FormatUint(*wanted, 10)}}
	}
	response, err := c.Open(ctx, path, query)
	if err != nil {
		return nil, 0, err
	}
	if size, err = strconv.ParseUint(response.Header.Get(IndexedHeader), 10, 64); err != nil {
		_ = response.Body.Close() // it is not read
		return nil, 0, fmt.Errorf("reading the answer of %s%s: header %s: %w", c.Base, path, IndexedHeader, err)
	}
	return response, size, nil
}

// ErrNotModified is returned by [Client.Filter] where the filter is still the one that
// the caller has.
var ErrNotModified = errors.New("not modified")

// A Filter is a package set's filter that is about to be read, see [FilterPath]. It has
// to be closed.
type Filter struct {
	// Entry is the index of the ledger entry that published the revision. What the
	// filter can be follows from it: it is not longer than the entry says that there
	// are outputs.
	Entry uint64
	ETag  string

	client   *Client
	response *http.Response
}

// Filter asks for a package set's filter. etag is that of the filter which the caller
// has, if any: if it is the newest, the error wraps [ErrNotModified].
func (c *Client) Filter(ctx context.Context, set, etag string) (*Filter, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+FilterPath(set), nil)
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := c.do(request, http.StatusNotModified)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotModified {
		return nil, errors.Join(ErrNotModified, response.Body.Close())
	}
	f := &Filter{ETag: response.Header.Get("ETag"), client: c, response: response}
	text, err := strconv.Unquote(f.ETag)
	if err == nil {
		f.Entry, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("reading the answer of %s: the ETag %.40q is not the quoted index of a ledger entry: is %s an aggregator's address?", request.URL, f.ETag, c.Base),
			f.Close())
	}
	return f, nil
}

// Read reads the filter, which must be of at most so many outputs, and closes it.
func (f *Filter) Read(outputs int) ([]byte, error) {
	return f.client.whole(f.response, int64(outputs)*FilterPrefixSize, "application/octet-stream")
}

// Close lets go of a filter that need not be read.
func (f *Filter) Close() error { return f.response.Body.Close() }
