package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// PackageQuery selects packages, by name; zero fields do not restrict.
type PackageQuery struct {
	Text   string // that names contain, without regard to the case of ASCII letters
	Limit  int    // 1 to 1,000
	Cursor string // Next of the page before
}

// VersionsQuery selects versions of a package.
type VersionsQuery struct {
	Name      string
	Ecosystem string // "": the first that has a package of the name
	Limit     int    // 1 to 1,000
	Cursor    string // Next of the page before
}

// PackagePage is one page of packages, by name and ecosystem.
type PackagePage struct {
	Packages []PackageRow `json:"packages"`
	Next     string       `json:"next,omitempty"` // cursor of the next page, "" at the end
}

// PackageRow is a package in a list. It counts what anybody ever named: also outputs of which
// only builders spoke who do not count.
type PackageRow struct {
	Name      string `json:"name"`
	Ecosystem string `json:"ecosystem"`
	Outputs   uint64 `json:"outputs"`
	Versions  uint64 `json:"versions"`
	Diverged  uint64 `json:"diverged"` // of the outputs
}

// Package is what is known of a package: its outputs that have a verdict, or that the newest
// revision of a package set has, by version and system. Its name is the one that the names of
// its builds and outputs have, without the version. Of more than 100,000 outputs, those that
// were named last are counted.
type Package struct {
	Name      string `json:"name"`
	Ecosystem string `json:"ecosystem"`
	// Also are the other ecosystems that have a package of the name.
	Also []string `json:"also,omitempty"`
	// Explanation is how the package is, in a sentence or two; see [Package.Explain].
	Explanation string `json:"explanation"`
	// Newest is the newest version of which something was compared, else the newest of all.
	Newest PackageState `json:"newest"`
	// Versions are a page of them, newest first, and Total how many there are.
	Versions []PackageVersion `json:"versions"`
	Total    uint64           `json:"versions_total"`
	Next     string           `json:"next,omitempty"` // cursor of the next page, "" at the end
	// Divergences are the newest open ones, at most 100, and Diverged how many there are.
	Divergences []Divergence  `json:"divergences"`
	Diverged    uint64        `json:"diverged"`
	Sets        []PackagePlan `json:"sets"` // what package sets say, at most 100 rows
}

// VerdictCounts are numbers of outputs by verdict.
type VerdictCounts struct {
	Unbuilt    uint64 `json:"unbuilt"`
	Single     uint64 `json:"single"`
	Reproduced uint64 `json:"reproduced"`
	Diverged   uint64 `json:"diverged"`
}

// All is how many outputs there are.
func (c VerdictCounts) All() uint64 { return c.Unbuilt + c.Single + c.Reproduced + c.Diverged }

// Compared is how many could be compared.
func (c VerdictCounts) Compared() uint64 { return c.Reproduced + c.Diverged }

// Add adds the numbers of others.
func (c *VerdictCounts) Add(more VerdictCounts) {
	c.Unbuilt += more.Unbuilt
	c.Single += more.Single
	c.Reproduced += more.Reproduced
	c.Diverged += more.Diverged
}

// Worst is the verdict of which a maintainer has to know first: diverged before all, then
// what is missing.
func (c VerdictCounts) Worst() Verdict {
	switch {
	case c.Diverged > 0:
		return Diverged
	case c.Unbuilt > 0:
		return Unbuilt
	case c.Single > 0:
		return Single
	case c.Reproduced > 0:
		return Reproduced
	}
	return Unbuilt
}

// PackageVersion counts the outputs of a version, and those of each system. A version or
// system of "" is one that neither names nor package sets tell.
type PackageVersion struct {
	Version string `json:"version"`
	VerdictCounts
	Systems []PackageSystem `json:"systems"` // by name
}

// PackageSystem counts the outputs of a version for one system.
type PackageSystem struct {
	System string `json:"system"`
	VerdictCounts
}

// MaxStateOutputs is of how many outputs of a version, those named last, a [PackageState] says
// who reproduced them and since when they diverge.
const MaxStateOutputs = 1000

// PackageState is a version with its outputs.
type PackageState struct {
	PackageVersion
	// Operators is how many counted operators got the digests of the reproduced outputs.
	Operators uint64 `json:"operators"`
	// Since is when the first of the divergences began that are still open.
	Since   time.Time   `json:"since,omitzero"`
	Outputs []OutputRow `json:"outputs"` // by key, at most 100: those with the worst verdicts
}

// PackagePlan is what a package set's newest revision says of outputs of a package.
type PackagePlan struct {
	Set         string   `json:"set"`
	Attribute   string   `json:"attribute,omitempty"`
	Version     string   `json:"version,omitempty"`
	System      string   `json:"system,omitempty"`
	Maintainers []string `json:"maintainers,omitempty"`
	Outputs     uint64   `json:"outputs"` // of which it says so
}

// Explain says in a sentence or two how the package is, given its newest version: of that one,
// or of the one before it of which something was compared.
func (p *Package) Explain(newest string) string {
	if p.Total == 0 {
		return "No operator who counts has built it, and no package set has it."
	}
	s := &p.Newest
	of := fmt.Sprintf("%d %s", s.All(), form(s.All(), "output", "outputs"))
	if s.Version != "" {
		of += " of " + s.Version
	}
	if s.Compared() == 0 {
		return fmt.Sprintf("Nothing is compared yet: of %s, %s.", of, strings.Join(s.uncompared(), " and "))
	}
	least := ""
	if s.All() > MaxStateOutputs {
		least = "at least "
	}
	parts := []string{"None of " + of + " is reproduced"}
	if s.Reproduced > 0 {
		parts[0] = fmt.Sprintf("%d of %s %s reproduced by %s%d operators", s.Reproduced, of, form(s.Reproduced, "is", "are"), least, s.Operators)
	}
	if s.Diverged > 0 {
		parts = append(parts, fmt.Sprintf("%d %s since %s", s.Diverged, form(s.Diverged, "diverges", "diverge"), s.Since.UTC().Format("2 Jan 2006")))
	}
	said := strings.Join(append(parts, s.uncompared()...), "; ") + "."
	if newest != s.Version {
		said += " Of " + newest + ", nothing is compared yet."
	}
	return said
}

// uncompared says which of the outputs cannot be compared.
func (c VerdictCounts) uncompared() (parts []string) {
	if c.Single > 0 {
		parts = append(parts, fmt.Sprintf("%d %s built by one operator only", c.Single, form(c.Single, "was", "were")))
	}
	if c.Unbuilt > 0 {
		parts = append(parts, fmt.Sprintf("%d %s not built", c.Unbuilt, form(c.Unbuilt, "was", "were")))
	}
	return parts
}

func form(n uint64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Query is how the query is written in a URL, for a page as for the API.
func (q PackageQuery) Query() url.Values { return listQuery(q.Text, q.Limit, q.Cursor) }

// URL is the query of a path.
func (q PackageQuery) URL(path string) string { return withQuery(path, q.Query()) }

// listQuery is the query of a list of names.
func listQuery(text string, limit int, cursor string) url.Values {
	v := url.Values{}
	if text != "" {
		v.Set("q", text)
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	if limit != 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	return v
}

func withQuery(path string, query url.Values) string {
	if len(query) > 0 {
		return path + "?" + query.Encode()
	}
	return path
}
