package query

import (
	"context"
	"slices"
	"sync"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// A Ledger gives the entries themselves.
type Ledger interface {
	Size() uint64
	Entry(ctx context.Context, index uint64) (*ledger.Entry, error)
	// Attachment returns the bytes that have a SHA-256.
	Attachment(ctx context.Context, sum attestation.Digest) ([]byte, error)
}

// An Index has the roster as far as entries are indexed.
type Index interface {
	Roster() *enrolment.Roster
}

// A Query is a [dashboard.Source].
type Query struct {
	store  *store.Store
	ledger Ledger
	index  Index
	reader *reading.Reader // under the keys of the index's roster

	mu      sync.Mutex // guards details
	details map[uint64]*detail
}

var _ dashboard.Source = (*Query)(nil)

// New returns a Query.
func New(s *store.Store, l Ledger, x Index) *Query {
	return &Query{store: s, ledger: l, index: x, reader: reading.New(present{x}, l.Attachment), details: map[uint64]*detail{}}
}

// In says which ledger is shown, by its origin, and returns the query: else no statement
// counts that names the ledgers in which it does.
func (q *Query) In(origin string) *Query {
	q.reader.In(origin)
	return q
}

// present is the index's roster, which a reindexing replaces by one that says
// the same.
type present struct{ Index }

// Lookup implements [reading.Roster]: with whatever key the roster has for a builder now.
// That it was valid when the entry was received, the index has checked.
func (p present) Lookup(id signing.BuilderID) (signing.Key, error) {
	b, ok := p.Roster().Builder(id)
	if !ok {
		return signing.Key{}, signing.ErrUnknownBuilder
	}
	return signing.Key{PublicKey: b.Key.PublicKey}, nil
}

func (p present) Certificates(project string) []attestation.Digest {
	return p.Roster().Certificates(project)
}
func (p present) Caches(name string) []enrolment.Builder { return p.Roster().Caches(name) }
func (p present) Builder(id signing.BuilderID) (enrolment.Builder, bool) {
	return p.Roster().Builder(id)
}

func (p present) Keyless(who signing.Identity) (enrolment.Builder, bool) {
	return p.Roster().Keyless(who)
}

func (p present) RulesAt(index uint64) uint32 { return p.Roster().RulesAt(index) }

// Watermark implements [dashboard.StatusSource].
func (q *Query) Watermark(ctx context.Context) (dashboard.Watermark, error) {
	t, release := q.store.Acquire()
	defer release()
	indexed, compared, err := t.Covered(ctx)
	return dashboard.Watermark{Indexed: indexed, Compared: compared}, err
}

// Summary implements [dashboard.StatusSource].
func (q *Query) Summary(ctx context.Context, set string) (*dashboard.Summary, error) {
	t, release := q.store.Acquire()
	defer release()
	if set == "" {
		all, err := q.summaries(ctx, t, []store.Set{{}})
		if err != nil {
			return nil, err
		}
		return &all[0], nil
	}
	revision, err := q.set(ctx, t, set)
	if err != nil {
		return nil, err
	}
	all, err := q.summaries(ctx, t, []store.Set{*revision})
	if err != nil {
		return nil, err
	}
	return &all[0], q.addSpoken(ctx, t, &all[0])
}

// addSpoken has a set's summary count those who spoke about its members.
func (q *Query) addSpoken(ctx context.Context, t *store.Tables, s *dashboard.Summary) error {
	spoken, err := t.SpokenOf(ctx, s.Set)
	if err != nil {
		return err
	}
	operators, roster := map[uint32]struct{}{}, q.index.Roster()
	for _, number := range spoken.Builders {
		if b, ok := roster.ByNumber(number); ok {
			operators[b.OperatorNumber] = struct{}{}
		}
	}
	s.Attestations, s.Observations = spoken.Attestations, spoken.Observations
	s.Builders, s.Operators = uint64(len(spoken.Builders)), uint64(len(operators))
	return nil
}

// Summaries implements [dashboard.StatusSource].
func (q *Query) Summaries(ctx context.Context, sets []string) ([]dashboard.Summary, error) {
	t, release := q.store.Acquire()
	defer release()
	published, err := t.NewestSets(ctx)
	if err != nil {
		return nil, err
	}
	var found []store.Set
	for _, name := range sets {
		if i := slices.IndexFunc(published, func(s store.Set) bool { return s.Name == name }); i >= 0 {
			found = append(found, published[i])
		}
	}
	return q.summaries(ctx, t, found)
}

// summaries returns the counts of package sets by verdict, with what the whole ledger has
// beside them; of everything for one without a name.
func (q *Query) summaries(ctx context.Context, t *store.Tables, sets []store.Set) ([]dashboard.Summary, error) {
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(sets))
	for i := range sets {
		names[i] = sets[i].Name
	}
	counts, err := t.Counts(ctx, names)
	if err != nil {
		return nil, err
	}
	list := make([]dashboard.Summary, len(sets))
	for i, set := range sets {
		c := counts[set.Name]
		unbuilt, single, reproduced, diverged := c[divergence.Unbuilt], c[divergence.Single], c[divergence.Reproduced], c[divergence.Diverged]
		list[i] = dashboard.Summary{
			Set: set.Name, Revision: set.Revision,
			Outputs: unbuilt + single + reproduced + diverged, Compared: reproduced + diverged,
			Reproduced: reproduced, Diverged: diverged, Single: single, Unbuilt: unbuilt,
			Builders: uint64(w.Builders), Operators: uint64(w.Operators),
			Attestations: w.Attestations, Observations: w.Observations, Failures: w.Failures,
			LedgerSize: max(q.ledger.Size(), w.Size), Indexed: w.Size,
		}
	}
	return list, nil
}

// set returns a set's newest revision.
func (q *Query) set(ctx context.Context, t *store.Tables, name string) (*store.Set, error) {
	sets, err := t.NewestSets(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		if s.Name == name {
			return &s, nil
		}
	}
	return nil, dashboard.ErrNotFound
}

// History implements [dashboard.StatusSource].
func (q *Query) History(ctx context.Context, set string) ([]dashboard.DayCounts, error) {
	t, release := q.store.Acquire()
	defer release()
	if set != "" {
		if _, err := q.set(ctx, t, set); err != nil {
			return nil, err
		}
	}
	days, err := t.Days(ctx, set)
	if err != nil {
		return nil, err
	}
	history := make([]dashboard.DayCounts, len(days))
	for i, d := range days {
		history[i] = dashboard.DayCounts{Day: d.Day.UTC(), Single: d.Counts[1], Reproduced: d.Counts[2], Diverged: d.Counts[3]}
	}
	return history, nil
}

// Sets implements [dashboard.StatusSource].
func (q *Query) Sets(ctx context.Context) ([]dashboard.Set, error) {
	t, release := q.store.Acquire()
	defer release()
	sets, err := t.NewestSets(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]dashboard.Set, len(sets))
	for i, s := range sets {
		list[i] = setOf(s)
	}
	return list, nil
}
