package api

import (
	"net/url"
	"strconv"
	"time"

	"repronet.dev/signing"
)

// DivergenceQuery selects divergences; zero fields do not restrict. Newest
// first.
type DivergenceQuery struct {
	Set        string
	Shape      Shape
	Cause      Side
	Builder    signing.BuilderID // that holds a digest of its own among the factions
	Maintainer string
	Ecosystem  string
	Project    string // of files of releases: what their keys begin with
	Package    string // as [Package] is named, of any ecosystem if none is given
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
	Previous Verdict   `json:"previous"` // the verdict before, in the order in which claims came
	// Regressed is the key of the output in whose place this one came in the newest
	// revision of a package set (the same attribute, system and output), if that is
	// reproduced: a later version does not reproduce any more. Empty otherwise.
	Regressed string    `json:"regressed,omitempty"`
	Factions  []Faction `json:"factions"` // greatest first
}

// Faction is the operators that hold one digest.
type Faction struct {
	Digest    string   `json:"digest"`
	Operators []string `json:"operators"`
}

// Query is how the query is written in a URL, for a page as for the API.
func (q DivergenceQuery) Query() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"set": q.Set, "shape": string(q.Shape), "cause": string(q.Cause), "builder": string(q.Builder), "maintainer": q.Maintainer,
		"ecosystem": q.Ecosystem, "project": q.Project, "package": q.Package, "cursor": q.Cursor,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// URL is the query of a path.
func (q DivergenceQuery) URL(path string) string {
	return withQuery(path, q.Query())
}
