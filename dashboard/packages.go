package dashboard

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/ecosystem"
)

// Limits of the pages of packages; where something is left out, a page says so.
const (
	packagesOnPage    = 60
	versionsOnPage    = 25
	packageOutputs    = 30 // of the newest version
	packageDivergence = 20
	packagePlans      = 20
	packageChanges    = 12
	searchedName      = 1024 // characters of a package's or maintainer's name: more than any has
)

type packagesPage struct {
	frame
	Text  string // that was looked for
	Rows  []packageRow
	Next  string // URL of the next page
	First string // URL of the first, "" on it
	// Elsewhere is the URL of a search for the text in other names.
	Elsewhere string
}

type packageRow struct {
	api.PackageRow
	Href string
}

func packageURL(in, name string) string {
	return namedURL(PackagesPath, name) + "?" + query("ecosystem", in)
}

// besidePackage is a document beside the page of a package.
func besidePackage(in, name, suffix string) string {
	return PackagesPath + "/" + url.PathEscape(name) + suffix + "?" + query("ecosystem", in)
}

// namedIn reads the name in a path's rest, which begins with a slash and may end with one.
func namedIn(c *gin.Context, what string) (string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(c.Param("name"), "/"), "/")
	if len(name) > searchedName {
		return "", invalid("A %s’s name has at most %d bytes.", what, searchedName)
	}
	return name, nil
}

func (d *Dashboard) packages(c *gin.Context) (string, view, error) {
	text, err := searchedText(c)
	if err != nil {
		return "", nil, err
	}
	asked := PackageQuery{Text: text, Limit: packagesOnPage, Cursor: c.Query("cursor")}
	page, err := d.source.Packages(c.Request.Context(), asked)
	if err != nil {
		return "", nil, Missing(err, "This page of the list is gone. Begin at %s.", PackagesPath)
	}
	v := &packagesPage{frame: frame{Title: "Packages", Section: PackagesPath, JSON: PackageQuery{Text: text, Cursor: asked.Cursor}.URL(api.PackagesPath)}, Text: text, Elsewhere: "/search?" + query("q", text)}
	for _, p := range page.Packages {
		v.Rows = append(v.Rows, packageRow{p, packageURL(p.Ecosystem, p.Name)})
	}
	if asked.Cursor != "" {
		v.First = PackageQuery{Text: text}.URL(PackagesPath)
	}
	if page.Next != "" {
		v.Next = PackageQuery{Text: text, Cursor: page.Next}.URL(PackagesPath)
	}
	return "packages", v, nil
}

// searchedText reads the text to look for in names.
func searchedText(c *gin.Context) (string, error) {
	text := strings.TrimSpace(c.Query("q"))
	if len(text) > searchLength {
		return "", invalid("A search has at most %d characters.", searchLength)
	}
	return text, nil
}

type packagePage struct {
	frame
	Name        string
	Ecosystem   string
	Also        []link // packages of the name in other ecosystems
	Explanation string
	Newest      string // version that the explanation is of
	Strip       *strip
	Versions    string // how many there are
	Next, First string // URLs of pages of versions
	Outputs     []searchRow
	MoreOutputs uint64
	Diverged    []divergenceRow
	Total       uint64
	All         string // URL of the list of its divergences
	// MoreDiverged and MoreChanges: there are more than the page lists.
	MoreDiverged, MoreChanges bool
	Plans                     []packagePlan
	MorePlans                 int
	Changes                   []packageChange
	Feed, CSV                 string
	Badge                     string
	BadgeJSON                 string
	Markdown                  string // to be copied
	Issue                     string // likewise, "" where nothing diverges
	Commands                  []command
	Verify                    []command
}

// A link is one with its text.
type link struct{ Text, Href string }

type packagePlan struct {
	api.PackagePlan
	Href        string // of the set
	Maintainers []link
}

type packageChange struct {
	Kind  string
	Name  name
	Index uint64
	At    moment
}

// askedPackage reads which package a path's rest names, and from where on its versions are
// wanted. A package URL names one too.
func askedPackage(c *gin.Context) (VersionsQuery, error) {
	name, err := namedIn(c, "package")
	if purl, err := ecosystem.ParsePURL(name); err == nil {
		return VersionsQuery{Name: purl.Package(), Ecosystem: purl.Ecosystem, Cursor: c.Query("cursor"), Limit: versionsOnPage}, nil
	}
	return VersionsQuery{Name: name, Ecosystem: c.Query("ecosystem"), Cursor: c.Query("cursor"), Limit: versionsOnPage}, err
}

func noPackage(err error, asked VersionsQuery) error {
	if asked.Cursor != "" {
		return Missing(err, "No package named “%s” is known here, or this page of its versions is gone. Begin at %s/%s.", asked.Name, PackagesPath, asked.Name)
	}
	return Missing(err, "No package named “%s” is known here: nobody attested an output of it, and no package set has one. The page %s lists those that are; a name is written without its version.", asked.Name, PackagesPath)
}

func (d *Dashboard) packaged(c *gin.Context) (string, view, error) {
	asked, err := askedPackage(c)
	if err != nil {
		return "", nil, err
	}
	ctx := c.Request.Context()
	found, err := d.source.Package(ctx, asked)
	if err != nil {
		return "", nil, noPackage(err, asked)
	}
	now, base := time.Now(), d.BaseURL(c)
	v := newPackagePage(found, base, now)
	if asked.Cursor != "" {
		v.First = packageURL(found.Ecosystem, found.Name)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.addChanges(ctx, v, now) })
	group.Go(func() error {
		covered, err := d.source.Watermark(ctx)
		v.Indexed = covered.Indexed
		return err
	})
	return "package", v, group.Wait()
}

func newPackagePage(p *Package, base string, now time.Time) *packagePage {
	feed := besidePackage(p.Ecosystem, p.Name, FeedSuffix)
	badge := packageBadgeURL(p.Ecosystem, p.Name, ".svg")
	v := &packagePage{
		frame: frame{
			Title: p.Name, Section: PackagesPath, JSON: besidePackage(p.Ecosystem, p.Name, ".json"),
			Alternates: []alternate{{atomType, "Package " + p.Name, feed}, {"text/csv", "Versions as CSV", besidePackage(p.Ecosystem, p.Name, ".csv")}},
		},
		Name: p.Name, Ecosystem: p.Ecosystem, Explanation: p.Explanation, Newest: p.Newest.Version, Strip: newStrip(p.Versions), Versions: count(p.Total, "version"),
		Total: p.Diverged, All: DivergenceQuery{Package: p.Name, Ecosystem: p.Ecosystem}.URL(DivergencesPath),
		Feed: feed, CSV: besidePackage(p.Ecosystem, p.Name, ".csv"), Badge: badge, BadgeJSON: packageBadgeURL(p.Ecosystem, p.Name, ".json"),
		Markdown: "[![reproducible builds](" + base + badge + ")](" + base + packageURL(p.Ecosystem, p.Name) + ")",
		Issue:    issueText(p, base),
	}
	for _, in := range p.Also {
		v.Also = append(v.Also, link{in, packageURL(in, p.Name)})
	}
	if p.Next != "" {
		v.Next = packageURL(p.Ecosystem, p.Name) + "&" + query("cursor", p.Next)
	}
	outputs := slices.Clone(p.Newest.Outputs)
	slices.SortStableFunc(outputs, func(a, b OutputRow) int { return cmp.Compare(severity(a.Verdict), severity(b.Verdict)) })
	for _, row := range outputs[:min(len(outputs), packageOutputs)] {
		v.Outputs = append(v.Outputs, searchRow{outputName(row), row})
	}
	v.MoreOutputs = p.Newest.All() - min(p.Newest.All(), uint64(len(v.Outputs)))
	for _, divergence := range p.Divergences[:min(len(p.Divergences), packageDivergence)] {
		v.Diverged = append(v.Diverged, newDivergenceRow(divergence, now))
	}
	v.MoreDiverged = p.Diverged > uint64(len(v.Diverged))
	for _, plan := range p.Sets[:min(len(p.Sets), packagePlans)] {
		row := packagePlan{PackagePlan: plan, Href: setURL(plan.Set, "")}
		for _, name := range plan.Maintainers {
			row.Maintainers = append(row.Maintainers, link{name, maintainerURL(name)})
		}
		v.Plans = append(v.Plans, row)
	}
	v.MorePlans = len(p.Sets) - len(v.Plans)
	if build := buildOf(outputs); build != nil {
		v.Commands, v.Verify = rebuildCommands(build), verifyCommands(build, base)
	}
	return v
}

// buildOf puts together what is known of the build of the first output, without claims; nil if
// there is no output.
func buildOf(outputs []OutputRow) *Build {
	if len(outputs) == 0 {
		return nil
	}
	first := outputs[0]
	build := &Build{Name: cmp.Or(first.Build, first.Key), Ecosystem: first.Ecosystem}
	for _, row := range outputs {
		if row.Build == first.Build && (row.Build != "" || row.Key == first.Key) {
			build.Outputs = append(build.Outputs, Output{OutputRow: row})
		}
	}
	return build
}

// addChanges adds when the package's outputs began to diverge, and ceased to.
func (d *Dashboard) addChanges(ctx context.Context, v *packagePage, now time.Time) error {
	changes, next, err := d.source.Changes(ctx, ChangeQuery{Package: v.Name, Ecosystem: v.Ecosystem, Limit: packageChanges})
	v.MoreChanges = next != ""
	for i := range changes {
		change := &changes[i]
		row := OutputRow{Key: change.Key, Ecosystem: change.Ecosystem, Build: change.Build}
		v.Changes = append(v.Changes, packageChange{string(change.To), outputName(row), change.Index, newMoment(change.ReceivedAt, now)})
	}
	return err
}
