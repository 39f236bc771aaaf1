package api

// SetRevision is a published revision of a package set: its members counted by the
// verdicts that they have now, and how it differs from the revision before it.
//
// Two revisions are compared by place: a place is an attribute, a system and the name of
// an output within its build. A member of which the set says no attribute has no place,
// and is compared by its key.
type SetRevision struct {
	Set
	Compared   uint64 `json:"compared"`
	Reproduced uint64 `json:"reproduced"`
	Diverged   uint64 `json:"diverged"`
	Single     uint64 `json:"single"`
	Unbuilt    uint64 `json:"unbuilt"`
	// Before is the revision before it; empty of the first, of which all members are
	// added.
	Before    string `json:"before,omitempty"`
	Added     uint64 `json:"added"`     // in places that the revision before did not have
	Removed   uint64 `json:"removed"`   // places that it had
	Changed   uint64 `json:"changed"`   // places that have another output than before
	Regressed uint64 `json:"regressed"` // of those, reproduced before and diverged now
	Fixed     uint64 `json:"fixed"`     // of those, diverged before and reproduced now
}

// SetDifference is a revision of a package set beside the one before it. Each list is in
// the order of the attributes, and has at most as many rows as were asked for; the counts
// are of all.
type SetDifference struct {
	SetRevision
	Regressions []SetChange `json:"regressions"`
	Fixes       []SetChange `json:"fixes"`
	Divergences []SetChange `json:"divergences"` // members that the revision before did not have, diverged, and no regressions
	Additions   []SetChange `json:"additions"`   // members in new places, but for those
	Removals    []SetChange `json:"removals"`    // members of the revision before whose places are gone
}

// SetChange is a member of a package set that the revision before did not have, or, of a
// removal, one that only that revision has.
type SetChange struct {
	OutputRow
	Attribute string     `json:"attribute,omitempty"`
	Version   string     `json:"version,omitempty"`
	System    string     `json:"system,omitempty"`
	Was       *OutputRow `json:"was,omitempty"` // the output in whose place it came
}
