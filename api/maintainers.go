package api

import (
	"net/url"
	"time"
)

// MaintainerQuery selects maintainers, by name; zero fields do not restrict.
type MaintainerQuery struct {
	Text   string // that names contain, without regard to the case of ASCII letters
	Limit  int    // 1 to 1,000
	Cursor string // Next of the page before
}

// MaintainerPage is one page of maintainers, by name.
type MaintainerPage struct {
	Maintainers []MaintainerRow `json:"maintainers"`
	Next        string          `json:"next,omitempty"` // cursor of the next page, "" at the end
}

// MaintainerRow is a maintainer with the outputs that the newest revisions of package sets say
// are theirs.
type MaintainerRow struct {
	Name string `json:"name"`
	VerdictCounts
}

// Maintainer is what a maintainer has to look after: the outputs that the newest revisions of
// package sets say are theirs. Each list has at most as many rows as were asked for; the
// counts are of all.
type Maintainer struct {
	MaintainerRow
	Sets []string `json:"sets"` // that name the maintainer
	// Regressions are open divergences in the place of what is reproduced, and Divergences the
	// others; both newest first. They are told apart among the newest 1,000 divergences.
	Regressions []Divergence `json:"regressions"`
	Divergences []Divergence `json:"divergences"`
	// Unconfirmed are outputs that fewer than two operators built, those that a set has for the
	// longest time first.
	Unconfirmed []Unconfirmed `json:"unconfirmed"`
}

// Unconfirmed is an output that waits for a second opinion, or for a first.
type Unconfirmed struct {
	OutputRow
	Set       string    `json:"set"`
	Attribute string    `json:"attribute,omitempty"`
	Version   string    `json:"version,omitempty"`
	System    string    `json:"system,omitempty"`
	Since     time.Time `json:"since"` // when the revision was published that brought it
	Revision  uint64    `json:"index"` // the entry that published it
}

// Query is how the query is written in a URL, for a page as for the API.
func (q MaintainerQuery) Query() url.Values { return listQuery(q.Text, q.Limit, q.Cursor) }

// URL is the query of a path.
func (q MaintainerQuery) URL(path string) string { return withQuery(path, q.Query()) }
