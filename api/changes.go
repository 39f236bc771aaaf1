package api

import (
	"net/url"
	"strconv"

	"repronet.dev/divergence"
)

// ChangeQuery selects changes of verdicts; zero fields do not restrict.
type ChangeQuery struct {
	Set        string // outputs of its newest revision
	Maintainer string
	Ecosystem  string
	Project    string // of files of releases: what their keys begin with
	Package    string // as [Package] is named, of any ecosystem if none is given
	Limit      int    // 1 to 1,000
	Cursor     string // of the next page, from the page before
}

// Query is how the query is written in a URL, for a feed as for the API.
func (q ChangeQuery) Query() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"set": q.Set, "maintainer": q.Maintainer, "ecosystem": q.Ecosystem, "project": q.Project, "package": q.Package, "cursor": q.Cursor,
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
func (q ChangeQuery) URL(path string) string {
	return withQuery(path, q.Query())
}

// VerdictChange is a change of an output's verdict to diverged or back. It says what was so
// as of its ledger entry, and stays what it is whatever becomes of the output.
type VerdictChange struct {
	Key       string `json:"key"`
	Ecosystem string `json:"ecosystem"`
	Build     string `json:"build"`
	Output    string `json:"output"` // the output's name within the build, "" where unknown
	Change
	Kind ChangeKind `json:"kind"`
	// What follows is said of a member of a package set only.
	Attribute string `json:"attribute,omitempty"`
	Version   string `json:"version,omitempty"`
	System    string `json:"system,omitempty"`
	// Was is the key of the output that was in its place in the revision before, if the
	// kind follows from that.
	Was string `json:"was,omitempty"`
}

// A ChangeKind says what a change of a verdict is for those who wait for one.
type ChangeKind string

// The kinds of changes.
const (
	ChangeDiverged  ChangeKind = "diverged"  // operators got different digests
	ChangeRegressed ChangeKind = "regressed" // and what was in its place before was reproduced
	ChangeFixed     ChangeKind = "fixed"     // reproduced, where it, or what was in its place before, was diverged
	ChangeUndecided ChangeKind = "undecided" // diverged no more; too little is left to say that it is reproduced
)

// NewChangeKind names a change by itself, without a package set; from or to is diverged.
func NewChangeKind(to divergence.Verdict) ChangeKind {
	switch to {
	case divergence.Diverged:
		return ChangeDiverged
	case divergence.Reproduced:
		return ChangeFixed
	case divergence.Single, divergence.Unbuilt:
	}
	return ChangeUndecided
}

// Values lists what can be written.
func (ChangeKind) Values() []string {
	return []string{string(ChangeDiverged), string(ChangeRegressed), string(ChangeFixed), string(ChangeUndecided)}
}

// MarshalText implements [encoding.TextMarshaler].
func (k ChangeKind) MarshalText() ([]byte, error) { return write(k, "kind of a change") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *ChangeKind) UnmarshalText(text []byte) error { return read(k, text, "kind of a change") }
