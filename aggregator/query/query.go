package query

import (
	"context"
	"sync"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/dashboard"
	"repronet/enrolment"
	"repronet/evidence/kinds"
	"repronet/ledger"
	"repronet/signing"
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
	keys   *kinds.Keys // of the index's roster

	mu      sync.Mutex // guards details
	details map[uint64]*detail
}

var _ dashboard.Source = (*Query)(nil)

// New returns a Query.
func New(s *store.Store, l Ledger, x Index) *Query {
	return &Query{store: s, ledger: l, index: x, keys: kinds.NewKeys(present{x}, l.Attachment), details: map[uint64]*detail{}}
}

// present is the index's roster, which a reindexing replaces by one that says
// the same.
type present struct{ Index }

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

// Watermark implements [dashboard.StatusSource].
func (q *Query) Watermark(ctx context.Context) (dashboard.Watermark, error) {
	t, release := q.store.Acquire()
	defer release()
	indexed, err := t.Watermark(ctx)
	if err != nil {
		return dashboard.Watermark{}, err
	}
	compared, err := t.RolledUp(ctx)
	return dashboard.Watermark{Indexed: indexed.Size, Compared: compared}, err
}

// Summary implements [dashboard.StatusSource].
func (q *Query) Summary(ctx context.Context, set string) (*dashboard.Summary, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := t.Counts(ctx, set)
	if err != nil {
		return nil, err
	}
	unbuilt, single, reproduced, diverged := counts[0], counts[1], counts[2], counts[3]
	s := &dashboard.Summary{
		Outputs: unbuilt + single + reproduced + diverged, Compared: reproduced + diverged,
		Reproduced: reproduced, Diverged: diverged, Single: single, Unbuilt: unbuilt,
		Builders: uint64(w.Builders), Operators: uint64(w.Operators),
		Attestations: w.Attestations, Observations: w.Observations, Failures: w.Failures,
		LedgerSize: max(q.ledger.Size(), w.Size), Indexed: w.Size,
	}
	if set == "" {
		return s, nil
	}
	revision, err := q.set(ctx, t, set)
	if err != nil {
		return nil, err
	}
	s.Set, s.Revision = revision.Name, revision.Revision
	return s, nil
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
		list[i] = dashboard.Set{Name: s.Name, Revision: s.Revision, PublishedAt: s.ReceivedAt, Index: s.Index, Members: s.Members}
	}
	return list, nil
}
