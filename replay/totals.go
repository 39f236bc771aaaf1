package replay

import (
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"

	"repronet.dev/divergence"
)

// Counts are numbers of outputs by verdict (the index).
type Counts [4]uint64

// A Day has the counts at its end.
type Day struct {
	Day    time.Time // midnight UTC at its beginning
	Counts Counts
}

// Totals are counted over the whole ledger.
type Totals struct {
	Builders, Operators                  uint64 // with an attestation
	Attestations, Observations, Failures uint64
}

// A Set is a package set at its newest revision.
type Set struct {
	Name, Revision string
	Index          uint64
	PublishedAt    time.Time
	Members        uint64
}

// A revision is one revision of a package set.
type revision struct {
	Set
	index uint64
	until uint64 // the entry with the next revision
}

// everything stands in place of a revision's index for all outputs.
const everything = math.MaxUint64

// A scopeDay is a day of a revision of a package set, by the revision's index.
type scopeDay struct {
	revision uint64
	day      int64 // since 1970
}

type moves [4]int64

// counts are what outputs add to the counts of scopes: sums, so that the order of
// the outputs does not matter.
type counts struct {
	days      map[scopeDay]*moves
	revisions map[uint64]*moves // when a set was published
	spoken    map[uint64]*spoken
}

func newCounts() *counts {
	return &counts{days: map[scopeDay]*moves{}, revisions: map[uint64]*moves{}, spoken: map[uint64]*spoken{}}
}

func (c *counts) revision(index uint64) *moves { return entry(c.revisions, index) }

func (c *counts) move(at scopeDay, from, to divergence.Verdict) {
	m := entry(c.days, at)
	m[from]--
	m[to]++
}

func entry[K comparable](in map[K]*moves, key K) *moves {
	m, ok := in[key]
	if !ok {
		m = &moves{}
		in[key] = m
	}
	return m
}

func (c *counts) merge(other *counts) {
	for at, m := range other.days {
		entry(c.days, at).add(m)
	}
	for index, m := range other.revisions {
		entry(c.revisions, index).add(m)
	}
	for index, s := range other.spoken {
		if known, ok := c.spoken[index]; ok {
			known.merge(s)
		} else {
			c.spoken[index] = s
		}
	}
}

func (m *moves) add(other *moves) {
	for v := range m {
		m[v] += other[v]
	}
}

func (m *moves) counts() (c Counts) {
	for v := range m {
		c[v] = uint64(m[v]) // as many go out of a verdict as came in, at most
	}
	return c
}

const daySeconds = 24 * 60 * 60

// dayOf returns the day on which an entry was received.
func (r *Replay) dayOf(index uint64) int64 {
	i := sort.Search(len(r.days), func(i int) bool { return r.days[i].first > index })
	return r.days[i-1].day
}

// TotalsOf returns what was said of the members of a package set's newest revision; the
// failures are those of the whole ledger. It is complete after Judge.
func (r *Replay) TotalsOf(set Set) Totals {
	t := Totals{Failures: r.Totals.Failures}
	s, ok := r.counts.spoken[set.Index]
	if !ok {
		return t
	}
	t.Observations, t.Builders = s.observations, uint64(len(s.builders))
	for _, word := range s.entries {
		t.Attestations += uint64(bits.OnesCount64(word))
	}
	operators := map[uint32]struct{}{}
	for number := range s.builders {
		if b, ok := r.roster.ByNumber(number); ok {
			operators[b.OperatorNumber] = struct{}{}
		}
	}
	t.Operators = uint64(len(operators))
	return t
}

// Sets returns the package sets, by name.
func (r *Replay) Sets() []Set {
	var sets []Set
	for _, revision := range r.revisions {
		if revision.until == math.MaxUint64 {
			sets = append(sets, revision.Set)
		}
	}
	slices.SortFunc(sets, func(a, b Set) int { return compareStrings(a.Name, b.Name) })
	return sets
}

// History returns the counts at the end of each day on which one changed, oldest
// first: of all outputs for "", else of a package set. Of all outputs, those
// without a position are not counted. It is complete after Judge.
func (r *Replay) History(set string) []Day {
	var history []Day
	var running moves
	scopes := []uint64{everything}
	if set != "" {
		scopes = nil
		for _, revision := range r.revisions {
			if revision.Name == set {
				scopes = append(scopes, revision.index)
			}
		}
	}
	for _, scope := range scopes {
		if scope != everything {
			running = *r.counts.revision(scope)
			history = note(history, r.dayOf(scope), &running)
		}
		var days []int64
		for at := range r.counts.days {
			if at.revision == scope {
				days = append(days, at.day)
			}
		}
		slices.Sort(days)
		for _, day := range days {
			running.add(r.counts.days[scopeDay{scope, day}])
			if scope == everything {
				running[divergence.Unbuilt] = 0
			}
			history = note(history, day, &running)
		}
	}
	return history
}

// note takes the counts as those of the day's end so far.
func note(history []Day, day int64, m *moves) []Day {
	d := Day{time.Unix(day*daySeconds, 0).UTC(), m.counts()}
	if n := len(history); n > 0 && history[n-1].Day.Equal(d.Day) {
		history[n-1] = d
		return history
	}
	return append(history, d)
}

// Counts returns the present counts of a package set, of all outputs for "".
func (r *Replay) Counts(set string) Counts {
	history := r.History(set)
	if len(history) == 0 {
		return Counts{}
	}
	return history[len(history)-1].Counts
}
