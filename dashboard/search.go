package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/signing"
)

const (
	searchRows   = 50
	searchLength = 600 // more than any name has
)

type searchPage struct {
	frame
	Digest string // that was looked for, "" for text
	Rows   []searchRow
	Full   bool        // there may be more outputs with the digest
	Named  []namedList // what is found by its own name, on the first page
	Next   string      // URL of the next page of outputs
	First  string      // URL of the first, "" on it
}

type searchRow struct {
	Name name
	Row  OutputRow
}

// A namedList is what a text is part of the names of, of one kind.
type namedList struct {
	Kind  string
	Links []link
	All   link // the list with all of them, "" where all are listed
}

// search redirects to the page of what was named exactly, and lists what has a text in its
// name otherwise.
func (d *Dashboard) search(c *gin.Context) (string, view, error) {
	text, err := searchedText(c)
	if err != nil {
		return "", nil, err
	}
	v := &searchPage{frame: frame{Title: "Search", Query: text}}
	if text == "" {
		return "search", v, nil
	}
	if digest, err := attestation.ParseAnyDigest(text); err == nil {
		return d.searchDigest(c, v, digest)
	}
	if purl, err := ecosystem.ParsePURL(text); err == nil {
		text = purl.Text()
	}
	ctx, cursor := c.Request.Context(), c.Query("cursor")
	if cursor == "" {
		target, err := d.exact(ctx, text)
		if err != nil {
			return "", nil, err
		}
		if target != "" {
			c.Redirect(http.StatusSeeOther, target)
			return "", nil, nil
		}
	}
	// These do not need each other, and each waits for the index.
	group, ctx := errgroup.WithContext(ctx)
	if cursor == "" {
		group.Go(func() (err error) {
			v.Named, err = d.named(ctx, text)
			return err
		})
	} else {
		v.First = "/search?" + query("q", v.Query)
	}
	group.Go(func() error {
		return d.searchOutputs(ctx, v, SearchQuery{Text: text, Limit: searchRows, Cursor: cursor})
	})
	return "search", v, group.Wait()
}

// searchDigest lists the outputs that had a digest, or redirects to the only one.
func (d *Dashboard) searchDigest(c *gin.Context, v *searchPage, digest attestation.Digest) (string, view, error) {
	found, err := d.source.ByDigest(c.Request.Context(), digest)
	if err != nil {
		return "", nil, err
	}
	v.Digest = digest.String()
	v.JSON = api.OutputsPath + "?digest=" + v.Digest
	if len(found) == 1 {
		c.Redirect(http.StatusSeeOther, outputURL(found[0]))
		return "", nil, nil
	}
	v.Full = len(found) > searchRows
	v.list(found[:min(len(found), searchRows)])
	return "search", v, nil
}

func (v *searchPage) list(rows []OutputRow) {
	for _, row := range rows {
		v.Rows = append(v.Rows, searchRow{outputName(row), row})
	}
}

func (d *Dashboard) searchOutputs(ctx context.Context, v *searchPage, asked SearchQuery) error {
	page, err := d.source.Search(ctx, asked)
	if err != nil {
		return Missing(err, "This page of the search is gone. Begin at the first.")
	}
	v.list(page.Outputs)
	if page.Next != "" {
		v.Next = "/search?" + query("q", v.Query) + "&" + query("cursor", page.Next)
	}
	return nil
}

// namedRows is how many of each kind a search lists.
const namedRows = 8

// named finds packages, package sets, operators and maintainers by a part of their names.
func (d *Dashboard) named(ctx context.Context, text string) (lists []namedList, err error) {
	kinds := []struct {
		kind string
		all  string // URL of the list of all that match, "" for one that has no search
		find func(context.Context, string) ([]link, error)
	}{
		{"Packages", PackageQuery{Text: text}.URL(PackagesPath), d.packagesNamed},
		{"Package sets", SetsPath, d.setsNamed},
		{"Operators", "/builders", d.operatorsNamed},
		{"Maintainers", MaintainerQuery{Text: text}.URL(MaintainersPath), d.maintainersNamed},
	}
	found := make([][]link, len(kinds))
	group, ctx := errgroup.WithContext(ctx)
	for i, k := range kinds {
		group.Go(func() (err error) {
			found[i], err = k.find(ctx, text)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, k := range kinds {
		if len(found[i]) == 0 {
			continue
		}
		list := namedList{Kind: k.kind, Links: found[i][:min(len(found[i]), namedRows)]}
		if len(found[i]) > namedRows {
			list.All = link{"more", k.all}
		}
		lists = append(lists, list)
	}
	return lists, nil
}

func (d *Dashboard) packagesNamed(ctx context.Context, text string) (links []link, err error) {
	page, err := d.source.Packages(ctx, PackageQuery{Text: text, Limit: namedRows + 1})
	if err != nil {
		return nil, err
	}
	for _, p := range page.Packages {
		links = append(links, link{p.Name, packageURL(p.Ecosystem, p.Name)})
	}
	return links, nil
}

func (d *Dashboard) maintainersNamed(ctx context.Context, text string) (links []link, err error) {
	page, err := d.source.Maintainers(ctx, MaintainerQuery{Text: text, Limit: namedRows + 1})
	if err != nil {
		return nil, err
	}
	for _, m := range page.Maintainers {
		links = append(links, link{m.Name, maintainerURL(m.Name)})
	}
	return links, nil
}

func (d *Dashboard) setsNamed(ctx context.Context, text string) (links []link, err error) {
	sets, err := d.source.Sets(ctx)
	for _, s := range sets {
		if containsText(s.Name, text) {
			links = append(links, link{s.Name, setURL(s.Name, s.Revision)})
		}
	}
	return links, err
}

// operatorsNamed leads to the first builder of each operator.
func (d *Dashboard) operatorsNamed(ctx context.Context, text string) (links []link, err error) {
	builders, err := d.source.Builders(ctx)
	last := ""
	for _, b := range builders { // which come by operator
		if b.Operator != last && containsText(b.Operator, text) {
			links = append(links, link{b.Operator, newBuilderName(b.Operator, b.ID).Href})
		}
		last = b.Operator
	}
	return links, err
}

// containsText is without regard to case, as searches of the index are to that of ASCII letters.
func containsText(name, text string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(text))
}

// exact finds the page of an output, a build or a builder by its whole name; ""
// if there is none.
func (d *Dashboard) exact(ctx context.Context, text string) (string, error) {
	output, err := d.source.Output(ctx, text)
	if err == nil {
		return outputURL(output.OutputRow), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	build, err := d.source.Build(ctx, text)
	if err == nil {
		return buildURL(build.Name), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	id, err := signing.ParseBuilderID(text)
	if err != nil {
		return "", nil
	}
	builder, err := d.source.Builder(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return newBuilderName(builder.Operator, builder.ID).Href, nil
}
