package replay

import (
	"math"
	"slices"
	"sort"

	"repronet.dev/enrolment"
)

// A timeline is the roster at every place in the ledger.
type timeline struct {
	versions [][]version         // by builder, in ledger order
	rejudged map[uint32][]uint64 // by builder: the entries after which its earlier claims may count differently
}

// A version is what a builder's claims count for from an entry on.
type version struct {
	index       uint64
	operator    uint32
	counted     bool
	revokedFrom uint64
}

func newTimeline() *timeline { return &timeline{rejudged: map[uint32][]uint64{}} }

// note takes in what an entry made of a builder.
func (t *timeline) note(index uint64, b enrolment.Builder, rejudge bool) {
	v := version{index: index, operator: b.OperatorNumber, counted: b.Tier == enrolment.Counted, revokedFrom: math.MaxUint64}
	if b.Revoked {
		v.revokedFrom = b.RevokedFrom
	}
	for int(b.Number) >= len(t.versions) {
		t.versions = append(t.versions, nil)
	}
	t.versions[b.Number] = append(t.versions[b.Number], v)
	if rejudge {
		t.rejudged[b.Number] = append(t.rejudged[b.Number], index)
	}
}

// asOf is the roster after an entry, as divergence.Judge wants it.
type asOf struct {
	*timeline
	at uint64
}

// Counts implements divergence.Operators.
func (a *asOf) Counts(builder uint32, index uint64) (operator uint32, counted bool) {
	v := a.version(builder)
	if v == nil {
		return 0, false
	}
	return v.operator, v.counted && index < v.revokedFrom
}

// version returns what a builder is at the place; nil before it is enrolled.
func (a *asOf) version(builder uint32) *version {
	if int(builder) >= len(a.versions) {
		return nil
	}
	versions := a.versions[builder]
	i := len(versions)
	if i > 1 {
		i = sort.Search(i, func(i int) bool { return versions[i].index > a.at })
	}
	if i == 0 {
		return nil
	}
	return &versions[i-1]
}

// rejudgements returns the entries that may change what claims of these builders
// count for, in order.
func (t *timeline) rejudgements(builders []uint32) []uint64 {
	if len(t.rejudged) == 0 {
		return nil
	}
	var entries []uint64
	for _, b := range builders {
		entries = append(entries, t.rejudged[b]...)
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}
